//! The types of services, and their fields, of `tbot` 15 to 19 ("Machine & Workload Identity Configuration Reference"). A newer `tbot` may
//! know more.

/// A type of service.
pub(super) struct ServiceType {
    pub name: &'static str,
    /// Fields without which `tbot` does not start.
    pub required: &'static [&'static str],
    /// Those that it also knows, beside [`COMMON`].
    pub optional: &'static [&'static str],
}

/// The fields that every service may have. Since `tbot` 19, `roles` keeps it from starting.
pub(super) const COMMON: [&str; 5] = ["credential_ttl", "name", "renewal_interval", "roles", "type"];

const fn of(
    name: &'static str,
    required: &'static [&'static str],
    optional: &'static [&'static str],
) -> ServiceType {
    ServiceType { name, required, optional }
}

/// What `tbot` knows.
pub(super) const TYPES: [ServiceType; 17] = [
    of("application", &["app_name", "destination"], &["specific_tls_naming"]),
    of("application-proxy", &["listen"], &[]),
    of("application-tunnel", &["app_name", "listen"], &[]),
    of("database", &["destination", "service"], &["database", "format", "username"]),
    of("database-tunnel", &["database", "listen", "service", "username"], &[]),
    of("example", &[], &["message"]),
    of("identity", &["destination"], &["allow_reissue", "cluster", "ssh_config"]),
    of("identity/key-agent", &[], &["destination"]),
    of("kubernetes", &["destination", "kubernetes_cluster"], &["disable_exec_plugin"]),
    of(
        "kubernetes/argo-cd",
        &["selectors"],
        &[
            "cluster_name_template",
            "cluster_resources",
            "namespaces",
            "project",
            "secret_annotations",
            "secret_labels",
            "secret_name_prefix",
            "secret_namespace",
        ],
    ),
    of(
        "kubernetes/v2",
        &["destination", "selectors"],
        &["context_name_template", "disable_exec_plugin", "relay_server"],
    ),
    of(
        "ssh-multiplexer",
        &["destination"],
        &["enable_resumption", "proxy_command", "proxy_templates_path", "relay_server"],
    ),
    of("ssh_host", &["destination", "principals"], &["ca_type"]),
    of("workload-identity-api", &["listen", "selector"], &["attestors"]),
    of(
        "workload-identity-aws-roles-anywhere",
        &["destination", "profile_arn", "role_arn", "selector", "trust_anchor_arn"],
        &[
            "artifact_name",
            "credential_profile_name",
            "overwrite_credential_file",
            "region",
            "session_duration",
            "session_renewal_interval",
        ],
    ),
    of("workload-identity-jwt", &["audiences", "destination", "selector"], &[]),
    of("workload-identity-x509", &["destination", "selector"], &["include_federated_trust_bundles"]),
];

/// A type or field that a version of `tbot` and those before it know, and no later one starts with.
pub(super) struct Former {
    pub name: &'static str,
    /// The first major version that does not start with it.
    pub gone_in: u64,
    /// What to write instead.
    pub instead: &'static str,
}

/// Types that are gone.
pub(super) const FORMER_TYPES: [Former; 2] = [
    Former { name: "spiffe-svid", gone_in: 19, instead: "workload-identity-x509" },
    Former { name: "spiffe-workload-api", gone_in: 19, instead: "workload-identity-api" },
];

/// Fields of services that are gone.
pub(super) const FORMER_FIELDS: [Former; 1] = [Former {
    name: "roles",
    gone_in: 19,
    instead: "remove it, and the service gets all roles of the bot; for fewer, give the host a further bot (tbot_instances)",
}];

/// The first major version that takes no address of a proxy as `auth_server`.
pub(super) const NO_PROXY_AS_AUTH_SERVER: u64 = 19;
