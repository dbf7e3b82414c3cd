// Where a client learns which gateways there are: a fixed list, or something that follows a registry.

import { InvalidArgumentError } from './errors.ts';

/** Tells which gateways there are. */
export interface GatewaySource {
  /**
   * Calls the listener with the `host:port` of all gateways that may be called, once as soon as they are known and then on every
   * change, until the function that it returns is called. While the source itself is away the last list stays. Must not throw.
   */
  watch(listener: (addresses: readonly string[]) => void): () => void;
}

/** A list as a source that never changes. Throws InvalidArgumentError for one that is empty or no list. */
export function gatewaySource(gateways: readonly string[] | GatewaySource): GatewaySource {
  if (typeof gateways === 'object' && gateways !== null && 'watch' in gateways) return gateways;
  if (!Array.isArray(gateways) || gateways.length === 0) {
    throw new InvalidArgumentError('at least one gateway is needed', { code: 'NO_GATEWAYS', field: 'gateways' });
  }
  return {
    watch(listener) {
      listener(gateways);
      return () => {};
    },
  };
}
