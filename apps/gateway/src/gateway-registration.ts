// This gateway's entry in the registry, with the public keys that others verify its sessions by.

import type { Instance, Registry } from '@strife/discovery';

export interface GatewayRegistration {
  /** Tells of these keys from now on; the gateway is never missing. When it rejects, the old ones may be told of or these: repeat it. */
  publish(keys: string): Promise<void>;
  leave(): Promise<void>;
}

/** @throws RegistryError */
export async function registerGateway(registry: Registry, instance: Omit<Instance, 'service'>, keys: string): Promise<GatewayRegistration> {
  const metaWith = (published: string): Instance['meta'] => ({ ...instance.meta, keys: published });
  const registration = await registry.register({ ...instance, service: 'gateway', meta: metaWith(keys) });
  return {
    publish: (published) => registration.update(metaWith(published)),
    leave: () => registration.leave(),
  };
}
