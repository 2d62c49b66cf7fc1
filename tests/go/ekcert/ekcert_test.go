package ekcert

import (
	"crypto/x509"
	"math/big"
	"testing"
)

func TestASerialIsInPairsOfDigits(t *testing.T) {
	for number, written := range map[int64]string{0: "00", 2: "02", 4095: "0f:ff", 0xf5a5a5a5: "f5:a5:a5:a5"} {
		if got := Serial(&x509.Certificate{SerialNumber: big.NewInt(number)}); got != written {
			t.Errorf("%d: %s", number, got)
		}
	}
}

func TestAKeyThatGoDoesNotKnowHasNoHash(t *testing.T) {
	if hash, err := Hash(nil); err == nil {
		t.Error(hash)
	}
}
