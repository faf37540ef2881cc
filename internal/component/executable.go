package component

import (
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
)

// machines are the architectures of programs, as Go names them.
var machines = map[elf.Machine]string{
	elf.EM_386: "386", elf.EM_AARCH64: "arm64", elf.EM_ARM: "arm", elf.EM_LOONGARCH: "loong64",
	elf.EM_PPC64: "ppc64le", elf.EM_RISCV: "riscv64", elf.EM_S390: "s390x", elf.EM_X86_64: "amd64",
}

// checkExecutable fails unless the file is a program for this host that may be run.
func checkExecutable(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if info.Mode()&0o111 == 0 {
		return fmt.Errorf("it is not executable: its mode is %s (chmod +x)", info.Mode())
	}
	f, err := elf.Open(path)
	var format *elf.FormatError
	if errors.As(err, &format) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return errors.New("it is not a Linux program (ELF)")
	}
	if err != nil {
		return err
	}
	defer f.Close() //nolint:errcheck // read only
	if arch := machines[f.Machine]; arch != runtime.GOARCH {
		return fmt.Errorf("it is a program for %s, this host is %s", archName(f.Machine), runtime.GOARCH)
	}
	return nil
}

func archName(m elf.Machine) string {
	if name, ok := machines[m]; ok {
		return name
	}
	return m.String()
}
