package main

import (
	"errors"
	"fmt"
	"net/url"
	"reflect"
	"strings"
)

// replaceByJoinURI puts what join_uri says in the place of proxy_server or auth_server, and of onboarding. With any of those
// beside it, tbot refuses to start. Its exact rule is not verified; here each field of onboarding counts.
func (c *config) replaceByJoinURI() error {
	if c.JoinURI == "" {
		return nil
	}
	if c.ProxyServer != "" || c.AuthServer != "" || !reflect.ValueOf(c.Onboarding).IsZero() {
		return errors.New("join_uri excludes proxy_server, auth_server and onboarding")
	}
	uri, err := url.Parse(c.JoinURI)
	if err != nil {
		return fmt.Errorf("join_uri: %w", err)
	}
	parts := strings.Split(uri.Scheme, "+")
	if len(parts) != 3 || parts[0] != "tbot" {
		return fmt.Errorf("join_uri: the scheme is %q, not tbot+proxy+METHOD or tbot+auth+METHOD", uri.Scheme)
	}
	switch parts[1] {
	case "proxy":
		c.ProxyServer = uri.Host
	case "auth":
		c.AuthServer = uri.Host
	default:
		return fmt.Errorf("join_uri: the scheme names %q, not proxy or auth", parts[1])
	}
	if uri.Host == "" {
		return errors.New("join_uri: no address")
	}
	c.Onboarding = onboarding{JoinMethod: strings.ReplaceAll(parts[2], "-", "_"), Token: uri.User.Username()}
	return nil
}
