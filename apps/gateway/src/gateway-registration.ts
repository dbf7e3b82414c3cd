// This gateway's entry in the registry, with the public keys that others verify its sessions by.

import type { Instance, Registration, Registry } from '@strife/discovery';

export interface GatewayRegistration {
  /** Tells of these keys from now on. When it rejects, it may be that nothing is told of this gateway: repeat it. */
  publish(keys: string): Promise<void>;
  leave(): Promise<void>;
}

/** @throws RegistryError */
export async function registerGateway(registry: Registry, instance: Omit<Instance, 'service'>, keys: string): Promise<GatewayRegistration> {
  const register = (published: string): Promise<Registration> =>
    registry.register({ ...instance, service: 'gateway', meta: { ...instance.meta, keys: published } });
  let registration = await register(keys);
  return {
    // The port has no way to change an entry in place: for a moment there is none. Others then meet this gateway anew.
    async publish(published) {
      await registration.leave();
      registration = await register(published);
    },
    leave: () => registration.leave(),
  };
}
