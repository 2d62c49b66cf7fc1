package main

import (
	"strconv"
	"strings"

	"tbot_tpm.test/version"
)

// destinations says which a type of service may have.
type destinations int

const (
	noDestination destinations = iota
	anyDestination
	directoryOnly
)

// serviceType is what tbot knows of one type of service.
type serviceType struct {
	destination destinations
	required    []field
	listens     bool
	files       func(*service) []string
	sockets     []string // in the destination's directory
	check       func(*service) error
	goneIn      int // a major version; 0 for none
}

var serviceTypes = map[string]serviceType{
	"identity": {destination: anyDestination, files: identityFiles, check: checkIdentity},
	"ssh_host": {
		destination: anyDestination,
		required:    []field{{"principals", list}},
		files:       always("ssh_host", "ssh_host-cert.pub", "ssh_host-user-ca.pub"),
	},
	"application": {destination: anyDestination, required: []field{{"app_name", text}}, files: applicationFiles},
	"database":    {destination: anyDestination, required: []field{{"service", text}}, files: databaseFiles},
	"kubernetes": {
		destination: anyDestination,
		required:    []field{{"kubernetes_cluster", text}},
		files: always("kubeconfig.yaml", "identity",
			"teleport-host-ca.crt", "teleport-user-ca.crt", "teleport-database-ca.crt"),
	},
	"kubernetes/v2": {
		destination: anyDestination,
		required:    []field{{"selectors", list}},
		files:       always("kubeconfig.yaml", "identity", "teleport-host-ca.crt"),
		check:       checkSelectors,
	},
	"kubernetes/argo-cd": {required: []field{{"selectors", list}}},
	"workload-identity-x509": {
		destination: anyDestination,
		required:    []field{{"selector", mapping}},
		files:       always("svid.pem", "svid_key.pem", "svid_bundle.pem", "svid_crl.pem"),
	},
	"workload-identity-jwt": {
		destination: anyDestination,
		required:    []field{{"selector", mapping}, {"audiences", list}},
		files:       always("jwt_svid"),
	},
	"workload-identity-aws-roles-anywhere": {
		destination: anyDestination,
		required: []field{
			{"selector", mapping}, {"role_arn", text}, {"profile_arn", text}, {"trust_anchor_arn", text},
		},
		files: always("aws_credentials"),
		check: checkRolesAnywhere,
	},
	"workload-identity-api": {required: []field{{"selector", mapping}}, listens: true},
	"application-tunnel":    {required: []field{{"app_name", text}}, listens: true},
	"application-proxy":     {listens: true},
	"database-tunnel": {
		required: []field{{"service", text}, {"database", text}, {"username", text}},
		listens:  true,
	},
	"ssh-multiplexer": {
		destination: directoryOnly,
		files:       always("ssh_config", "known_hosts"),
		sockets:     []string{"v1.sock", "agent.sock"},
	},
	// Its files, and what its configuration may be, are not verified.
	"identity/key-agent": {destination: directoryOnly},
	// For tbot's own tests.
	"example": {},
	// What these require is not verified.
	"spiffe-svid":         {goneIn: 19},
	"spiffe-workload-api": {goneIn: 19},
}

func always(files ...string) func(*service) []string {
	return func(*service) []string { return files }
}

// commonFiles are what several types write.
var commonFiles = []string{
	"identity", "key", "key.pub", "key-cert.pub", "tlscert",
	"teleport-host-ca.crt", "teleport-user-ca.crt", "teleport-database-ca.crt",
}

func withCommon(files ...string) []string { return append(files, commonFiles...) }

// identityFiles has the stand-in cluster's name in two. That ssh_config off leaves out all three is not verified.
func identityFiles(s *service) []string {
	files := withCommon("known_hosts")
	if s.Fields["ssh_config"] != "off" {
		files = append(files, "ssh_config", clusterName+".ssh_config", clusterName+".known_hosts")
	}
	return files
}

func applicationFiles(s *service) []string {
	if s.Fields["specific_tls_naming"] == true {
		return withCommon("tls.crt", "tls.key", "tls.cas")
	}
	return withCommon()
}

func databaseFiles(s *service) []string {
	switch s.Fields["format"] {
	case "tls":
		return withCommon("tls.crt", "tls.key", "tls.cas")
	case "mongo":
		return withCommon("mongo.crt", "mongo.cas")
	case "cockroach":
		return withCommon("cockroach/node.crt", "cockroach/node.key", "cockroach/ca.crt")
	}
	return withCommon()
}

// clusterName is the name that `tctl stand-in-proxy` says its cluster has.
const clusterName = "stand-in"

// majorVersion is that of the release which the stand-in says it is.
func majorVersion() int {
	major, _, _ := strings.Cut(version.Version, ".")
	number, err := strconv.Atoi(major)
	if err != nil {
		panic("the stand-in's version is no version: " + version.Version)
	}
	return number
}
