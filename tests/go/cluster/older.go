package cluster

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"
)

// The numbers of a service's health. Which number has which name is not verified.
var healthNumbers = []Health{"BOT_INSTANCE_HEALTH_STATUS_UNSPECIFIED", Initializing, Healthy, Unhealthy}

// older is a time or a duration as older versions of tctl print it.
type older struct {
	Seconds int64 `json:"seconds,omitempty"`
	Nanos   int   `json:"nanos,omitempty"`
}

// InOlderForm is a bot instance as older versions of tctl print it: times and durations in seconds and nanoseconds, enumerations
// as numbers.
func InOlderForm(instance json.RawMessage) (json.RawMessage, error) {
	var value any
	if err := json.Unmarshal(instance, &value); err != nil {
		return nil, err
	}
	changed, err := inOlderForm("", value)
	if err != nil {
		return nil, err
	}
	return compact(changed)
}

// inOlderForm changes a value, which is that of a field or in its list.
func inOlderForm(field string, value any) (any, error) {
	switch value := value.(type) {
	case map[string]any:
		for name, inner := range value {
			changed, err := inOlderForm(name, inner)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", name, err)
			}
			value[name] = changed
		}
	case []any:
		for i, inner := range value {
			changed, err := inOlderForm(field, inner)
			if err != nil {
				return nil, err
			}
			value[i] = changed
		}
	case string:
		return olderText(field, value)
	}
	return value, nil
}

func olderText(field, text string) (any, error) {
	switch field {
	case "expires", "authenticated_at", "recorded_at", "updated_at":
		at, err := time.Parse(time.RFC3339Nano, text)
		return older{at.Unix(), at.Nanosecond()}, err
	case "uptime":
		length, err := time.ParseDuration(text)
		return older{int64(length / time.Second), int(length % time.Second)}, err
	case "status":
		number := slices.Index(healthNumbers, Health(text))
		if number < 0 {
			return nil, fmt.Errorf("there is no health %q", text)
		}
		return number, nil
	}
	return text, nil
}
