module tbot_tpm.test

go 1.27

require (
	github.com/google/go-attestation v0.6.4
	github.com/google/go-tpm v0.9.8
	github.com/joshlf/go-acl v0.0.0-20200411065538-eae00ae38531
	github.com/spf13/pflag v1.1.0
	go.yaml.in/yaml/v2 v2.4.4
	golang.org/x/sys v0.41.0
	gopkg.in/yaml.v3 v3.0.1
	k8s.io/apimachinery v0.37.2
	sigs.k8s.io/yaml v1.6.0
)

require (
	github.com/joshlf/testutil v0.0.0-20170608050642-b5d8aa79d93d // indirect
	github.com/kr/text v0.2.0 // indirect
	sigs.k8s.io/json v0.0.0-20250730193827-2d320260d730 // indirect
)
