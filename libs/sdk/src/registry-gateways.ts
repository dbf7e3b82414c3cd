// Gateways found in the directory of the embedded registry, on the machine where they run.

import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { InvalidArgumentError } from './errors.ts';
import type { GatewaySource } from './gateway-source.ts';

const LOOK_INTERVAL_MS = 250;
/** Gateways move the time of their file some times a second; one that has not for this time is gone, or hangs. */
const HEARTBEAT_MS_MAX = 3_000;

/**
 * The gateways that are registered in this directory: a file `gateway/<id>.json` each, whose modification time is its heartbeat.
 * A directory that is not there holds none. Does not keep the process alive.
 */
export function gatewaysFromRegistryDirectory(directory: string): GatewaySource {
  if (typeof directory !== 'string' || directory === '') {
    throw new InvalidArgumentError('the path of the registry directory is needed', { code: 'INVALID_OPTION', field: 'directory' });
  }
  return {
    watch(listener) {
      let told: string | undefined;
      let isLooking = false;
      let isStopped = false;
      const look = async (): Promise<void> => {
        if (isLooking) return;
        isLooking = true;
        // What cannot be read now leaves the last list in use.
        const addresses = await liveAddresses(join(directory, 'gateway')).catch(() => undefined);
        isLooking = false;
        if (isStopped || !addresses || addresses.join() === told) return;
        told = addresses.join();
        listener(addresses);
      };
      const timer = setInterval(() => void look(), LOOK_INTERVAL_MS).unref();
      void look();
      return () => {
        isStopped = true;
        clearInterval(timer);
      };
    },
  };
}

async function liveAddresses(folder: string): Promise<string[]> {
  const names = await readdir(folder).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return [];
    throw error;
  });
  const files = names.filter((name) => name.endsWith('.json') && !name.startsWith('.')).sort();
  const addresses = await Promise.all(files.map((name) => liveAddress(join(folder, name))));
  return addresses.filter((address) => address !== undefined);
}

/** Undefined for a gateway without a heartbeat, and for a file that is gone or damaged: the others count all the same. */
async function liveAddress(file: string): Promise<string | undefined> {
  try {
    const { mtimeMs } = await stat(file);
    if (Date.now() - mtimeMs > HEARTBEAT_MS_MAX) return undefined;
    const { instance } = JSON.parse(await readFile(file, 'utf8')) as { instance: { host: unknown; port: unknown } };
    if (typeof instance.host !== 'string' || !Number.isInteger(instance.port)) return undefined;
    return addressOf(instance.host, Number(instance.port));
  } catch {
    return undefined;
  }
}

/** `host:port`, with an IPv6 address in brackets. */
export function addressOf(host: string, port: number): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}
