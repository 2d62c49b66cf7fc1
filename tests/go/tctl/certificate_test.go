package main

import (
	"crypto/rsa"
	"crypto/x509"
	"net"
	"testing"
	"time"

	"tbot_tpm.test/cluster"
)

func TestTheCertificateIsForEveryNameOfTheProxy(t *testing.T) {
	for _, kind := range certificateKinds {
		folder := cluster.Folder(t.TempDir())
		address := serveOver(t, folder, kind)
		_, state := ask(t, trusting(t, folder), "https://"+address+"/v1/webapi/find")
		for _, name := range []string{"localhost", "127.0.0.1", "::1", "10.0.2.2"} {
			if err := state.PeerCertificates[0].VerifyHostname(name); err != nil {
				t.Errorf("%s: %v", kind, err)
			}
		}
		if state.PeerCertificates[0].VerifyHostname("example.com") == nil {
			t.Errorf("%s: it is for any name", kind)
		}
	}
}

func TestTheAddressListenedOnIsAmongTheNames(t *testing.T) {
	bound := &net.TCPAddr{IP: net.IPv4(192, 0, 2, 7), Port: 443}
	chain, err := newChain(privateCA, names("proxy.example.com:443", bound))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"proxy.example.com", "192.0.2.7"} {
		if err := chain[0].VerifyHostname(name); err != nil {
			t.Error(err)
		}
	}
}

func TestWhatIsSentLeadsToWhatIsTrusted(t *testing.T) {
	for kind, expected := range map[string]struct{ sent, chain int }{
		privateCA:    {1, 2},
		selfSigned:   {1, 1},
		intermediate: {2, 3},
	} {
		folder := cluster.Folder(t.TempDir())
		address := serveOver(t, folder, kind)
		_, state := ask(t, trusting(t, folder), "https://"+address+"/v1/webapi/find")
		if sent, chain := len(state.PeerCertificates), len(state.VerifiedChains[0]); sent != expected.sent || chain != expected.chain {
			t.Errorf("%s: %d sent, a chain of %d", kind, sent, chain)
		}
	}
	if _, _, err := newCertificate("", nil); err == nil {
		t.Error("a certificate of no kind was made")
	}
}

func TestASelfSignedCertificateIsThatOfAProxyWithoutOne(t *testing.T) {
	chain, err := newChain(selfSigned, []string{"localhost"})
	if err != nil {
		t.Fatal(err)
	}
	made := chain[0].Certificate
	if _, isRSA := made.PublicKey.(*rsa.PublicKey); !isRSA || !made.IsCA || made.CheckSignatureFrom(made) != nil {
		t.Errorf("RSA %v, CA %v, by itself: %v", isRSA, made.IsCA, made.CheckSignatureFrom(made))
	}
	if subject := made.Subject.String(); subject != "CN=localhost,O=localhost" || made.Issuer.String() != subject {
		t.Errorf("%s, issued by %s", subject, made.Issuer)
	}
	if len(made.ExtKeyUsage) != 1 || made.ExtKeyUsage[0] != x509.ExtKeyUsageServerAuth {
		t.Errorf("usages %v", made.ExtKeyUsage)
	}
	if life := made.NotAfter.Sub(made.NotBefore); life != 825*24*time.Hour {
		t.Errorf("it lives for %s", life)
	}
}
