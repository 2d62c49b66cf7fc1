// Package version says which release of Teleport the stand-ins for its programs give themselves out for in tests.
package version

import "runtime"

// Version can be set when building, by STAND_IN_VERSION, for tests that install one after another.
var Version = "17.5.1"

// Line is what `tbot version` and `tctl version` print.
func Line() string {
	return "Teleport v" + Version + " git:stand-in " + runtime.Version()
}
