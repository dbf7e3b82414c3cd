# What those who run the banks may do at Consul: call AdminService as strife-operator, and look. Changing Consul itself takes a management token.

# The certificate and key of operators (/v1/agent/connect/ca/leaf).
service "strife-operator" { policy = "write" }

# Sees all of Strife and its health, as `strife doctor` does.
service_prefix "strife-" { policy = "read" }

# /v1/health/service/:name leaves out services on nodes that the token may not read, and any node may have some.
node_prefix "" { policy = "read" }
