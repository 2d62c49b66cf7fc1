package cluster

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"strings"
	"testing"
	"time"

	"tbot_tpm.test/ekcert"
	"tbot_tpm.test/swtpmtest"
	"tbot_tpm.test/tpm"
)

var now = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

func TestRulesCompareHashAndSerialExactly(t *testing.T) {
	for _, rule := range []struct {
		Allow
		lets bool
	}{
		{Allow{EKPublicHash: "aa"}, true},
		{Allow{EKPublicHash: "aa", EKCertificateSerial: "0f:ff"}, true},
		{Allow{EKCertificateSerial: "0f:ff"}, true},
		{Allow{EKPublicHash: "AA"}, false},
		{Allow{EKPublicHash: "aa", EKCertificateSerial: "0F:FF"}, false},
		{Allow{EKPublicHash: "bb", EKCertificateSerial: "0f:ff"}, false},
	} {
		rules := []Allow{{EKPublicHash: "other"}, rule.Allow}
		if err := decide(rules, "aa", "0f:ff"); (err == nil) != rule.lets {
			t.Errorf("%+v: %v", rule, err)
		}
	}
}

func TestATokenEndsAtItsTime(t *testing.T) {
	token := Token{Spec: TokenSpec{TPM: &TPMRule{}}}
	for _, end := range []struct {
		time.Time
		lets bool
	}{{now.Add(time.Second), true}, {now, false}, {now.Add(-time.Second), false}} {
		token.Metadata.Expires = &end.Time
		if err := token.admit(nil, now); (err == nil) != end.lets {
			t.Errorf("%v: %v", end, err)
		}
	}
}

func TestATokenWithCAsNeedsACertificate(t *testing.T) {
	token := Token{Spec: TokenSpec{TPM: &TPMRule{EKCertAllowedCAs: []string{"a CA"}}}}
	if err := token.admit(nil, now); err == nil || !strings.Contains(err.Error(), "did not provide an EKCert") {
		t.Error(err)
	}
}

// host is a TPM's half of the ceremony.
type host struct {
	request Request
	// solve is what the TPM makes of a challenge.
	solve func(*testing.T, Challenge) Solution
}

// newHost gives a host with a TPM of its own, and the hash of that TPM's EK.
func newHost(t *testing.T) (host, string) {
	t.Helper()
	device, err := tpm.Open(swtpmtest.Start(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { device.Close() })
	identity, err := tpm.ReadIdentity(device)
	if err != nil {
		t.Fatal(err)
	}
	ak, err := device.NewAK(nil)
	if err != nil {
		t.Fatal(err)
	}
	key, err := x509.MarshalPKIXPublicKey(identity.EK.Public)
	if err != nil {
		t.Fatal(err)
	}
	solve := func(t *testing.T, challenge Challenge) Solution {
		t.Helper()
		secret, err := ak.ActivateCredentialWithEK(device, *challenge.Credential, identity.EK)
		if err != nil {
			t.Fatal(err)
		}
		return Solution{Secret: secret}
	}
	return host{Request{Token: "fleet", EKKey: key, AK: ak.AttestationParameters()}, solve}, identity.Hash
}

// folderFor is a cluster with a token for a hash, and its bot.
func folderFor(t *testing.T, hash string) Folder {
	t.Helper()
	folder := Folder(t.TempDir())
	create(t, folder, strings.Replace(tokenText, "ek_public_hash: aa", "ek_public_hash: '"+hash+"'", 1), false)
	create(t, folder, botText, false)
	return folder
}

func refused(t *testing.T, err error, because string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), because) {
		t.Errorf("%v, but expected %q", err, because)
	}
}

func TestATPMThatSolvesItsChallengeJoins(t *testing.T) {
	host, hash := newHost(t)
	folder := folderFor(t, hash)
	attempt, credential, err := folder.BeginJoin(host.request, now, false)
	if err != nil {
		t.Fatal(err)
	}
	if attempt.EKPublicHash != hash {
		t.Errorf("%s is not %s", attempt.EKPublicHash, hash)
	}
	solution := host.solve(t, Challenge{Credential: credential})
	if err := folder.FinishJoin(attempt, solution, now); err != nil {
		t.Error(err)
	}
	instances, err := folder.Instances("web")
	if err != nil || len(instances) != 1 || !strings.Contains(string(instances[0]), `"ek_pub_hash":"`+hash) {
		t.Errorf("%s %v", instances, err)
	}
	solution.Secret[0] ^= 1
	refused(t, folder.FinishJoin(attempt, solution, now), "invalid credential activation solution")
	refused(t, folder.FinishJoin(attempt, Solution{}, now), "invalid credential activation solution")

	// The proof comes before the rules.
	unlisted := folderFor(t, "bb")
	attempt, credential, err = unlisted.BeginJoin(host.request, now, false)
	if err != nil {
		t.Fatal(err)
	}
	refused(t, folder.FinishJoin(attempt, Solution{}, now), "invalid credential activation solution")
	refused(t, unlisted.FinishJoin(attempt, host.solve(t, Challenge{Credential: credential}), now), "did not match any allow rules")
}

func TestALockKeepsATPMOut(t *testing.T) {
	host, hash := newHost(t)
	folder := folderFor(t, hash)
	if _, err := folder.CreateLock(LockSpec{Target: LockTarget{JoinToken: "fleet"}, Message: "stolen"}); err != nil {
		t.Fatal(err)
	}
	_, _, err := folder.BeginJoin(host.request, now, false)
	refused(t, err, "stolen")
}

func TestAnAKThatNoTPMMadeIsNotChallenged(t *testing.T) {
	host, hash := newHost(t)
	folder := folderFor(t, hash)
	for name, spoil := range map[string]func(*Request){
		"nothing":            func(r *Request) { r.AK.Public = nil },
		"a changed key":      func(r *Request) { r.AK.Public[len(r.AK.Public)-1] ^= 1 },
		"a changed creation": func(r *Request) { r.AK.CreateAttestation[len(r.AK.CreateAttestation)-1] ^= 1 },
	} {
		request := host.request
		request.AK.Public = append([]byte{}, request.AK.Public...)
		request.AK.CreateAttestation = append([]byte{}, request.AK.CreateAttestation...)
		spoil(&request)
		if attempt, _, err := folder.BeginJoin(request, now, false); err == nil {
			t.Errorf("%s: a challenge", name)
		} else if folder.FinishJoin(attempt, Solution{}, now) == nil {
			t.Errorf("%s: joined by an empty solution", name)
		}
	}
}

func TestAJoinNeedsItsTokenItsBotAndOneEK(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	hash, err := ekcert.Hash(&key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	request := Request{Token: "fleet", EKKey: der}
	begin := func(folder Folder, request Request, anyBot bool) error {
		_, _, err := folder.BeginJoin(request, now, anyBot)
		return err
	}
	folder := Folder(t.TempDir())
	refused(t, begin(folder, request, false), NotFound{KindToken, "fleet"}.Error())
	create(t, folder, strings.Replace(tokenText, "ek_public_hash: aa", "ek_public_hash: '"+hash+"'", 1), false)
	refused(t, begin(folder, request, false), NotFound{KindBot, "web"}.Error())
	refused(t, begin(folder, request, true), "challenging the TPM")
	create(t, folder, botText, false)
	refused(t, begin(folder, request, false), "challenging the TPM")
	refused(t, begin(folder, Request{Token: "fleet"}, false), "either an EK certificate or an EK key")
	refused(t, begin(folder, Request{Token: "fleet", EKKey: der, EKCertificate: der}, false), "either an EK certificate")
	refused(t, begin(folder, Request{Token: "fleet", EKCertificate: der}, false), "x509")
}
