# What programs of customers may do at Consul: all share one identity, strife-client.

# The certificate and key of clients (/v1/agent/connect/ca/leaf). Who may have it may also register strife-client, which nobody calls.
service "strife-client" { policy = "write" }

# Finds the gateways. Banks are none of a client's business.
service_prefix "strife-gateway-" { policy = "read" }

# /v1/health/service/:name leaves out services on nodes that the token may not read, and any node may have some.
node_prefix "" { policy = "read" }
