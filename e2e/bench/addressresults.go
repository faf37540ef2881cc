package main

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/haplane/haplane/e2e/bench/lanes"
	"github.com/haplane/haplane/e2e/rig/address"
	"github.com/haplane/haplane/internal/kubeprobe"
)

// An addressSample is what one fault, in one round, did in one set-up. Times are in milliseconds.
type addressSample struct {
	SetUp   string `json:"setUp"`
	Fault   string `json:"fault"`
	Round   int    `json:"round"`
	Machine string `json:"machine"` // that had the address
	// New are new connections from the host, 50 a second, with a patience of 1 s.
	New lanes.Figures `json:"new"`
	// Late is how late the process that measured was itself, at most.
	Late  float64 `json:"lateMs,omitempty"`
	Moves int     `json:"moves"`
	// Back is the longest time without an answer to the host from when the fault was put right until nothing was left of it.
	Back float64 `json:"backGapMs"`
	// Twice is the longest time for which two machines answered, in the fault or after it; OnTwo that for which the kernels of two had the address, in the fault, OnNone
	// that for which none had.
	Twice  float64      `json:"twoAnsweredMs"`
	OnTwo  float64      `json:"onTwoMs"`
	OnNone float64      `json:"onNoneMs"`
	Uses   []programUse `json:"programs,omitempty"`
}

// see takes in what was seen of a fault and after it.
func (s *addressSample) see(m lanes.Measured, during, after address.Seen) {
	s.New, s.Late, s.Moves = m.Lanes[kubeprobe.LBNew], m.Late, during.Moves()
	two, none := during.Had()
	s.OnTwo, s.OnNone, s.Back = inMs(two), inMs(none), inMs(address.Longest(after.Gaps()))
	s.Twice = inMs(max(address.Longest(during.Twice()), address.Longest(after.Twice())))
}

func inMs(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

func (s addressSample) String() string {
	text := fmt.Sprintf("round %d: %s: %s %s", s.Round, s.SetUp, s.Machine, s.Fault)
	if len(s.Uses) > 0 {
		return text
	}
	text += fmt.Sprintf(": gap %.0f ms, %d of %d failed, %d moves; on two for %.0f ms, on none for %.0f ms; put right, gap %.0f ms; two answered for %.0f ms",
		s.New.Gap, s.New.Failed, s.New.Requests, s.Moves, s.OnTwo, s.OnNone, s.Back, s.Twice)
	if s.New.FirstError != "" {
		text += " (" + s.New.FirstError + ")"
	}
	if s.Late > 0 {
		text += fmt.Sprintf("; what measured was late by up to %.0f ms", s.Late)
	}
	return text
}

// A programUse is what a program takes: on the machine that has the address, and on all others together.
type programUse struct {
	Program string `json:"program"`
	Holder  share  `json:"holder"`
	Others  share  `json:"others"`
}

// A share is what a program takes of one machine or more.
type share struct {
	Memory int64   `json:"pssBytes"`
	CPU    float64 `json:"cpu"` // seconds since it began; of useBetween's result, in a second
}

func (u *programUse) add(used address.Usage, holds bool) {
	to := &u.Others
	if holds {
		to = &u.Holder
	}
	to.Memory, to.CPU = to.Memory+used.Memory, to.CPU+used.CPU.Seconds()
}

// useBetween is what programs took in a time: memory as it was at its end, CPU as a share of one. Programs that are not there are left out.
func useBetween(before, after []programUse, took time.Duration) []programUse {
	var out []programUse
	for i, u := range after {
		u.Holder.CPU = (u.Holder.CPU - before[i].Holder.CPU) / took.Seconds()
		u.Others.CPU = (u.Others.CPU - before[i].Others.CPU) / took.Seconds()
		if u.Holder.Memory+u.Others.Memory > 0 {
			out = append(out, u)
		}
	}
	return out
}

// addressOf are the samples of a fault in a set-up.
func addressOf(samples []addressSample, fault, setUp string) []addressSample {
	return slices.DeleteFunc(slices.Clone(samples), func(s addressSample) bool { return s.Fault != fault || s.SetUp != setUp })
}

// setUpNames are those of all scenes.
func setUpNames() []string {
	var out []string
	for _, s := range addressScenes {
		for _, w := range s.setUps {
			out = append(out, w.name)
		}
	}
	return out
}

// printAddress writes what docs/load-balancer.md has: a row for each fault and set-up, and what the programs take.
func printAddress(w io.Writer, samples []addressSample) error {
	if len(samples) == 0 {
		return nil
	}
	fmt.Fprintf(w, "| fault | set-up | gap, s: min, median, max | failed, all rounds | the address moved | put right: gap, s, max | two machines answered |\n%s\n", strings.Repeat("|---", 7)+"|")
	for _, f := range addressFaults {
		for _, name := range setUpNames() {
			if all := addressOf(samples, f.name, name); len(all) > 0 && !f.load {
				fmt.Fprintln(w, addressRow(f, name, all))
			}
		}
	}
	var late []string
	for _, s := range samples {
		if s.Late >= 500 {
			late = append(late, fmt.Sprintf("- %s, %s, round %d: by up to %.0f ms", s.SetUp, s.Fault, s.Round, s.Late))
		}
	}
	if len(late) > 0 {
		fmt.Fprintf(w, "\nThe process that measured was late itself:\n\n%s\n", strings.Join(late, "\n"))
	}
	_, err := fmt.Fprintln(w)
	return errors.Join(err, printUse(w, samples))
}

func addressRow(f addressFault, setUp string, all []addressSample) string {
	var gaps, twice, back []float64
	failed, requests, moved, both := 0, 0, 0, 0
	for _, s := range all {
		gaps, back = append(gaps, s.New.Gap/1000), append(back, s.Back/1000)
		failed, requests = failed+s.New.Failed, requests+s.New.Requests
		if s.Moves > 0 {
			moved++
		}
		if s.Twice > 0 {
			both, twice = both+1, append(twice, s.Twice/1000)
		}
	}
	then := fmt.Sprintf("%.2f", slices.Max(back))
	gap, lost := fmt.Sprintf("%.2f %.2f %.2f", slices.Min(gaps), median(slices.Sorted(slices.Values(gaps))), slices.Max(gaps)), fmt.Sprintf("%d of %d", failed, requests)
	moves, answered := fmt.Sprintf("%d of %d", moved, len(all)), "never"
	if both > 0 {
		answered = fmt.Sprintf("%d of %d, up to %.2f s", both, len(all), slices.Max(twice))
	}
	switch {
	case f.stays && moved > 0:
		gap, lost, then, moves = "-", "-", "-", "**"+moves+"**" // what is missed is the API, whoever has the address
	case f.stays:
		gap, lost, then = "-", "-", "-"
	case f.planned:
		answered = "-" // the one that gives the address away serves what is open to its end: who asks it by itself hears it
	}
	return fmt.Sprintf("| %s | %s | %s | %s | %s | %s | %s |", f.name, setUp, gap, lost, moves, then, answered)
}

// printUse writes what programs took, in each set-up in the order in which they were looked at.
func printUse(w io.Writer, samples []addressSample) error {
	head := fmt.Sprintf("| set-up | program | memory (PSS) where the address is; elsewhere, all together | CPU, of one: where the address is; elsewhere, all together |\n%s\n", strings.Repeat("|---", 4)+"|")
	for _, s := range samples {
		for _, u := range s.Uses {
			fmt.Fprintf(w, "%s| %s | %s | %s; %s | %.1f %%; %.1f %% |\n", head, s.SetUp, u.Program, mib(u.Holder.Memory), mib(u.Others.Memory), 100*u.Holder.CPU, 100*u.Others.CPU)
			head = ""
		}
	}
	if head == "" {
		_, err := fmt.Fprintf(w, "\n%d new connections a second for %.0f s.\n", loadRate, loadTime.Seconds())
		return err
	}
	return nil
}
