package ssh

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/haplane/haplane/internal/fileset"
	"github.com/haplane/haplane/internal/machine"
)

// incoming is a folder beside files' places, where they are until all are complete.
const incoming = ".haplane-new"

// The scripts are constants; what varies comes as arguments and on stdin.
const (
	// The arguments are the incoming folders. New folders get 0755; under umask 077 tar makes
	// files that only root can read, and sets their mode last. Then each is renamed into its
	// place, by one mv for each folder. One upload comes after the other, also after that of a haplane
	// which was killed: both use the same folders.
	receiveScript = `exec 9</ && flock --timeout 120 9 || { echo "another upload has not ended" >&2; exit 1; }
umask 022; rm -rf -- "$@" && mkdir -p -- "$@" && umask 077 &&
tar --extract --preserve-permissions --same-owner --no-overwrite-dir --directory=/ --file=- || exit
for new; do
  (set --; for f in "$new"/* "$new"/.[!.]*; do [ ! -e "$f" ] || set -- "$@" "$f"; done
  exec mv -f -t "${new%/*}/" -- "$@") || exit
done
rmdir -- "$@"`
	statScript = `stat --format='%F|%a|%U|%n' -- "$@" 2>/dev/null; echo; sha256sum -- "$@" 2>/dev/null; exit 0`
)

// Upload sends the files as one archive beside their places; when it is there whole,
// each is renamed into its place. What an upload before left unfinished is removed.
func (m *Machine) Upload(ctx context.Context, files fileset.Set) error {
	if len(files) == 0 {
		return nil
	}
	reader, writer := io.Pipe()
	go func() { writer.CloseWithError(files.WriteTar(writer, arriving)) }()
	defer reader.Close()
	_, err := m.Run(ctx, machine.Command{Argv: shell(receiveScript, arrivals(files)...), Stdin: reader})
	if err != nil {
		return fmt.Errorf("write %d files: %w", len(files), err)
	}
	return nil
}

// arriving is where a file is until all are complete.
func arriving(file string) string { return path.Join(path.Dir(file), incoming, path.Base(file)) }

func shell(script string, args ...string) []string {
	return append([]string{"sh", "-c", script, "sh"}, args...)
}

func arrivals(files fileset.Set) []string {
	out := map[string]bool{}
	for p := range files {
		out[path.Dir(arriving(p))] = true
	}
	return slices.Sorted(maps.Keys(out))
}

// Stat tells the state of those of the paths that are regular files.
func (m *Machine) Stat(ctx context.Context, paths []string) (map[string]fileset.State, error) {
	if len(paths) == 0 {
		return map[string]fileset.State{}, nil
	}
	result, err := m.Run(ctx, machine.Cmd(shell(statScript, paths...)...))
	if err != nil {
		return nil, fmt.Errorf("look at %d files: %w", len(paths), err)
	}
	return parseStat(result.Stdout)
}

// parseStat reads what statScript prints: lines of type, mode, owner and path,
// an empty line, then lines of checksum and path.
func parseStat(text string) (map[string]fileset.State, error) {
	stats, sums, ok := strings.Cut("\n"+text, "\n\n")
	if !ok {
		return nil, fmt.Errorf("read file states: no empty line in %q", text)
	}
	stats = strings.TrimPrefix(stats, "\n")
	checksum := map[string]string{}
	for line := range strings.Lines(sums) {
		sum, p, ok := strings.Cut(strings.TrimSuffix(line, "\n"), "  ")
		if ok {
			checksum[p] = sum
		}
	}
	out := map[string]fileset.State{}
	for line := range strings.Lines(stats) {
		fields := strings.SplitN(strings.TrimSuffix(line, "\n"), "|", 4)
		if len(fields) != 4 {
			return nil, fmt.Errorf("read file states: unexpected line %q", line)
		}
		if fields[0] != "regular file" && fields[0] != "regular empty file" {
			continue
		}
		mode, err := strconv.ParseUint(fields[1], 8, 32)
		if err != nil {
			return nil, fmt.Errorf("read file states: mode in line %q: %w", line, err)
		}
		out[fields[3]] = fileset.State{Mode: fs.FileMode(mode), Owner: fields[2], Sum: checksum[fields[3]]}
	}
	return out, nil
}
