package xrayhtml

import (
	"math"
	"unicode"
)

// A face is a font of the picture; the stylesheet has the same.
type face struct {
	size       float64
	mono, bold bool
}

var faces = map[string]face{
	"name":  {size: 14, bold: true},
	"part":  {size: 12, bold: true},
	"note":  {size: 11},
	"mono":  {size: 11, mono: true},
	"id":    {size: 12.5, mono: true},
	"badge": {size: 11, bold: true},
}

// Which font a reader has is not known, so the widest of the usual ones counts:
// DejaVu Sans, from space to tilde in thousandths of its size.
var (
	regular = [...]int{
		318, 401, 460, 838, 636, 950, 780, 275, 390, 390, 500, 838, 318, 361, 318, 337, 636, 636, 636, 636, 636, 636, 636, 636,
		636, 636, 337, 337, 838, 838, 838, 531, 1000, 684, 686, 698, 770, 632, 575, 775, 752, 295, 295, 656, 557, 863, 748, 787,
		603, 787, 695, 635, 611, 732, 684, 989, 685, 611, 685, 390, 337, 390, 838, 500, 500, 613, 635, 550, 635, 615, 352, 635,
		634, 278, 278, 579, 278, 974, 634, 612, 635, 635, 411, 521, 392, 634, 592, 818, 592, 592, 525, 636, 337, 636, 838}
	bold = [...]int{
		348, 456, 521, 838, 696, 1002, 872, 306, 457, 457, 523, 838, 380, 415, 380, 365, 696, 696, 696, 696, 696, 696, 696, 696,
		696, 696, 400, 400, 838, 838, 838, 580, 1000, 774, 762, 734, 830, 683, 683, 821, 837, 372, 372, 775, 637, 995, 837, 850,
		733, 850, 770, 720, 682, 812, 774, 1103, 771, 724, 725, 457, 365, 457, 838, 500, 500, 675, 716, 593, 716, 678, 435, 716,
		712, 343, 343, 665, 343, 1042, 712, 687, 716, 716, 493, 595, 478, 712, 652, 924, 645, 652, 582, 712, 365, 712, 838}
)

const (
	monospaced = 620  // SF Mono's
	others     = 1100 // letters of other scripts, emoji, and what shapes with its neighbours
)

// measure is the width of a line of text, rather too much than too little.
func measure(name, text string) int {
	f := faces[name]
	sum := 0
	for _, r := range text {
		sum += f.advance(r)
	}
	return int(math.Ceil(float64(sum) / 1000 * f.size))
}

func (f face) advance(r rune) int {
	switch {
	case f.mono && r < 0x1100 && !unicode.IsMark(r):
		return monospaced
	case r < ' ' || r > '~':
		return others
	case f.bold:
		return bold[r-' ']
	}
	return regular[r-' ']
}

// cut shortens a text to a width. Where it has to, it leaves out the middle: names
// differ at their ends.
func cut(name, text string, width int) string {
	if measure(name, text) <= width {
		return text
	}
	runes := []rune(text)
	for keep := min(len(runes)-1, width); keep > 0; keep-- {
		short := string(runes[:(keep+1)/2]) + "…" + string(runes[len(runes)-keep/2:])
		if measure(name, short) <= width {
			return short
		}
	}
	return "…"
}
