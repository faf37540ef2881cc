// Package program owns what a program on a machine is made of, whatever runs it:
// its arguments, the files that these lead to, and the digests that tell whether a
// running one still is as wanted.
package program

// ConfigVariable is the environment variable in which a running program carries the
// digest that it was started with.
const ConfigVariable = "HAPLANE_CONFIG"

// LoadedDir is where programs that are reloaded keep, in NAME.loaded, the digest of
// the files that they loaded last.
const LoadedDir = "/run/haplane"
