package cluster

import (
	"encoding/json"
	"slices"
	"time"
	"uuid"
)

// instanceLife is how long the stand-in's bot instances are said to live after a join. How long a cluster's do is not verified.
const instanceLife = 24 * time.Hour

// BotInstance is the record of one tbot that joined. Users can only read it.
type BotInstance struct {
	Kind     string         `json:"kind"`
	Version  string         `json:"version"` // which one a cluster writes is not verified
	Metadata Metadata       `json:"metadata"`
	Spec     InstanceSpec   `json:"spec"`
	Status   InstanceStatus `json:"status"`
}

// InstanceSpec says whose instance it is.
type InstanceSpec struct {
	BotName    string `json:"bot_name"`
	InstanceID string `json:"instance_id"`
}

// InstanceStatus is what the cluster saw, and what the host says of itself. Lists have the newest last.
type InstanceStatus struct {
	InitialAuthentication *Authentication  `json:"initial_authentication,omitempty"`
	LatestAuthentications []Authentication `json:"latest_authentications,omitempty"`
	InitialHeartbeat      *Heartbeat       `json:"initial_heartbeat,omitempty"`
	LatestHeartbeats      []Heartbeat      `json:"latest_heartbeats,omitempty"`
	ServiceHealth         []ServiceHealth  `json:"service_health,omitempty"`
}

// Authentication is the cluster's own record of a join or a renewal.
type Authentication struct {
	AuthenticatedAt time.Time `json:"authenticated_at"`
	Generation      int       `json:"generation,omitempty"`
	PublicKey       []byte    `json:"public_key,omitempty"`
	JoinAttrs       JoinAttrs `json:"join_attrs"`
}

// JoinAttrs says by what it joined.
type JoinAttrs struct {
	Meta JoinMeta `json:"meta"`
	TPM  JoinTPM  `json:"tpm"`
}

// JoinMeta names the token.
type JoinMeta struct {
	JoinTokenName string `json:"join_token_name"`
	JoinMethod    string `json:"join_method"`
}

// JoinTPM is the TPM that joined. As in protobuf's JSON, what has its default value is absent.
type JoinTPM struct {
	EKPubHash      string `json:"ek_pub_hash,omitempty"`
	EKCertSerial   string `json:"ek_cert_serial,omitempty"`
	EKCertVerified bool   `json:"ek_cert_verified,omitempty"`
}

// Heartbeat is what a host says of itself, but for the time.
type Heartbeat struct {
	RecordedAt   time.Time `json:"recorded_at"`
	Version      string    `json:"version,omitempty"`
	Hostname     string    `json:"hostname,omitempty"`
	Uptime       Duration  `json:"uptime,omitempty"`
	JoinMethod   string    `json:"join_method,omitempty"`
	OneShot      bool      `json:"one_shot,omitempty"`
	IsStartup    bool      `json:"is_startup,omitempty"`
	Architecture string    `json:"architecture,omitempty"`
	OS           string    `json:"os,omitempty"`
}

// ServiceHealth is what a host says of one of its services.
type ServiceHealth struct {
	Service   ServiceID `json:"service"`
	Status    Health    `json:"status,omitempty"`
	Reason    string    `json:"reason,omitempty"`
	UpdatedAt time.Time `json:"updated_at"`
}

// ServiceID names a service of tbot.
type ServiceID struct {
	Type string `json:"type"`
	Name string `json:"name"`
}

// Health is a service's health, by the name of its enumeration.
type Health string

// What a service's health may be. An unspecified one is the default, and so absent.
const (
	Initializing Health = "BOT_INSTANCE_HEALTH_STATUS_INITIALIZING"
	Healthy      Health = "BOT_INSTANCE_HEALTH_STATUS_HEALTHY"
	Unhealthy    Health = "BOT_INSTANCE_HEALTH_STATUS_UNHEALTHY"
)

// Join is a bot's join that the cluster accepted.
type Join struct {
	Bot, Token   string
	EKPublicHash string
	EKCertSerial string
	// EKCertVerified says whether the token had CAs, and one of them issued the EK certificate.
	EKCertVerified bool
	PublicKey      []byte
	// Instance is that of an earlier join, for a renewal. A host that joins anew has none, and becomes another instance.
	Instance string
}

// RecordJoin records a join in a bot instance, whose ID it returns. The caller holds the folder's lock (see Locked).
func (f Folder) RecordJoin(join Join, now time.Time) (string, error) {
	made := Authentication{
		AuthenticatedAt: now.UTC(),
		Generation:      1,
		PublicKey:       join.PublicKey,
		JoinAttrs: JoinAttrs{
			Meta: JoinMeta{JoinTokenName: join.Token, JoinMethod: "tpm"},
			TPM:  JoinTPM{EKPubHash: join.EKPublicHash, EKCertSerial: join.EKCertSerial, EKCertVerified: join.EKCertVerified},
		},
	}
	if join.Instance == "" {
		return f.newInstance(join.Bot, made)
	}
	return join.Instance, f.changeInstance(join.Bot, join.Instance, func(instance *BotInstance) {
		latest := instance.Status.LatestAuthentications
		made.Generation = latest[len(latest)-1].Generation + 1
		instance.Status.LatestAuthentications = append(latest, made)
		instance.Metadata.Expires = expiry(made)
	})
}

func (f Folder) newInstance(bot string, made Authentication) (string, error) {
	id := uuid.NewV4().String()
	return id, f.putInstance(&BotInstance{
		Kind:     KindBotInstance,
		Version:  "v1",
		Metadata: Metadata{Name: id, Expires: expiry(made)},
		Spec:     InstanceSpec{BotName: bot, InstanceID: id},
		Status:   InstanceStatus{InitialAuthentication: &made, LatestAuthentications: []Authentication{made}},
	})
}

func expiry(made Authentication) *time.Time {
	expires := made.AuthenticatedAt.Add(instanceLife)
	return &expires
}

// RecordHeartbeat records what a host says of itself and, unless health is nil, of its services. The caller holds the folder's
// lock.
func (f Folder) RecordHeartbeat(bot, instance string, heartbeat Heartbeat, health []ServiceHealth) error {
	return f.changeInstance(bot, instance, func(instance *BotInstance) {
		status := &instance.Status
		if status.InitialHeartbeat == nil {
			status.InitialHeartbeat = &heartbeat
		}
		status.LatestHeartbeats = append(status.LatestHeartbeats, heartbeat)
		if health != nil {
			status.ServiceHealth = health
		}
	})
}

func (f Folder) changeInstance(bot, id string, change func(*BotInstance)) error {
	stored, err := f.Get(KindBotInstance, bot+"/"+id)
	if err != nil {
		return err
	}
	var instance BotInstance
	if err := json.Unmarshal(stored, &instance); err != nil {
		return err
	}
	change(&instance)
	return f.putInstance(&instance)
}

func (f Folder) putInstance(instance *BotInstance) error {
	instance.Metadata.Revision = revision()
	return f.put(KindBotInstance, instance.Spec.BotName+"/"+instance.Spec.InstanceID, instance)
}

// Instances are those of a bot, or of all bots where it is empty.
func (f Folder) Instances(bot string) ([]json.RawMessage, error) {
	all, err := f.All(KindBotInstance)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(all, func(stored json.RawMessage) bool {
		var instance BotInstance
		return bot != "" && (json.Unmarshal(stored, &instance) != nil || instance.Spec.BotName != bot)
	}), nil
}
