package tpm

import (
	"os"
	"path/filepath"
	"testing"
)

func TestTheFirstTPM20IsChosenAndItsResourceManagerWhereThereIsOne(t *testing.T) {
	folders := map[string]struct {
		made   []string
		chosen string
	}{
		"a resource manager":    {[]string{"tpm0/device/tpmrm/tpmrm0"}, "/dev/tpmrm0"},
		"none":                  {[]string{"tpm0/device"}, "/dev/tpm0"},
		"a TPM 1.2 before":      {[]string{"tpm0/caps", "tpm1/device/tpmrm/tpmrm1"}, "/dev/tpmrm1"},
		"another way to see it": {[]string{"tpm0/device/caps", "tpm1/device"}, "/dev/tpm1"},
		"only a TPM 1.2":        {[]string{"tpm0/caps"}, ""},
		"nothing":               {nil, ""},
	}
	for name, wanted := range folders {
		sysfs := t.TempDir()
		for _, path := range wanted.made {
			if err := os.MkdirAll(filepath.Join(sysfs, path), 0o755); err != nil {
				t.Fatal(err)
			}
		}
		chosen, err := firstDevice(sysfs)
		if chosen != wanted.chosen || (err == nil) != (wanted.chosen != "") {
			t.Errorf("%s: %q %v", name, chosen, err)
		}
	}
}

func TestNothingButADeviceOrSwtpmIsOpened(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tcti := range []string{"device:" + file, "device:/no/such", "tabrmd", "swtpm:path=/x", "swtpm:host=127.0.0.1,port=0"} {
		if _, err := Open(tcti); err == nil {
			t.Errorf("%s was opened", tcti)
		}
	}
}
