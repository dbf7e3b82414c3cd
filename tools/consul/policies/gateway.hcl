# What the gateway __NAME__ may do at Consul. `npm run consul:bootstrap` puts the name in.

# Its own entry in the registry, with the keys that others verify its sessions by: register, signs of life, update, deregister. Its own certificate and
# key (/v1/agent/connect/ca/leaf). Whether a caller may call it (/v1/agent/connect/authorize; reading intentions is part of this right). No other name.
service "strife-gateway-__NAME__" { policy = "write" }

# Finds the banks, for payments, and the other gateways, for keys and logouts: /v1/catalog/services and /v1/health/service/:name leave out the rest.
service_prefix "strife-bank-" { policy = "read" }
service_prefix "strife-gateway-" { policy = "read" }

# /v1/health/service/:name leaves out services on nodes that the token may not read, and any node may have some.
node_prefix "" { policy = "read" }

# Needs no right: /v1/status/leader, and the roots (/v1/agent/connect/ca/roots), which are public. Has none on purpose: keys and values, sessions, the
# agent, operators' work, ACLs.
