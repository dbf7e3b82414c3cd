// The registry in Consul: instances are services of the local agent, kept alive by heartbeats, and watched by blocking queries.

import { randomBytes } from 'node:crypto';
import { setMaxListeners } from 'node:events';
import { performance } from 'node:perf_hooks';
import { consulServiceName, consulServicePrefix } from './consul-catalog.ts';
import { claimName } from './consul-claim.ts';
import { askForLeader, openConsulLink, type CallError } from './consul-link.ts';
import { createServiceNames } from './consul-names.ts';
import { keepRegistered } from './consul-registration.ts';
import { describeCallError, findMissingRights, mayNot, type Right } from './consul-rights.ts';
import { watchConsulService } from './consul-watch.ts';
import { readInstance, RegistryError, type Instance, type Registration, type Registry, type RegistryProblem, type ServiceName } from './registry.ts';

export interface ConsulRegistryOptions {
  /** Of the agent on this machine: `http://127.0.0.1:8500`. */
  readonly address: string;
  /** Needs `service:write` for what it registers, `service:read` for what it watches, `node:read`. */
  readonly token?: string | undefined;
  /** In PEM: who signed the certificate of an agent at `https:`. Otherwise those count that Node trusts. */
  readonly ca?: string | undefined;
  /** A process that is silent for longer is hidden. Heartbeats come four times as often. */
  readonly ttlMs?: number;
  /**
   * When set, the agent also calls the instance's `grpc.health.v1.Health/Check` over TLS this often (from 1000), and hides whoever does not answer. It must
   * have a client certificate that the services take, and `enable_agent_tls_for_checks`; otherwise it hides everyone.
   */
  readonly serverCheckIntervalMs?: number;
  /** How long after an outage of Consul instances are shown that it does not know any more. */
  readonly settleMs?: number;
  /** Steady: it measures, and never shows the time of day. */
  readonly nowMs?: () => number;
  readonly random?: () => number;
  /** Twelve hexadecimal digits, never the same twice. */
  readonly nonce?: () => string;
  /** Told once of each outage and of its end, and of each instance that is damaged, lost or refused. */
  readonly onProblem?: (problem: RegistryProblem) => void;
}

/**
 * Connects to the agent, which must be there and have a leader now; afterwards it may come and go. Keeps the process alive until it is closed.
 * A watch hears at once of who comes and leaves, and of who dies within `ttlMs` and the agent's time to tell; during an outage and `settleMs` after it, only of who comes.
 *
 * The agent tells at once, but for one case: when its full synchronization, which it makes after an election and every minute or two, falls into a
 * registration, it waits for 15 to 30 s (`retryFailIntv` in Consul's agent/ae/ae.go) before it tells by itself. Until then, whatever it is told by a
 * process takes the rest along, such as the next heartbeat of any other service there; an agent whose only service died tells when the wait is over.
 *
 * @throws RegistryError REGISTRY_UNAVAILABLE
 */
export async function openConsulRegistry({
  address, token, ca, ttlMs = 1000, serverCheckIntervalMs, settleMs = 3 * ttlMs,
  nowMs = () => performance.now(), random = Math.random, nonce = () => randomBytes(6).toString('hex'), onProblem = () => {},
}: ConsulRegistryOptions): Promise<Registry> {
  if (!/^https?:/.test(address) || !URL.canParse(address)) throw new RegistryError('REGISTRY_UNAVAILABLE', `Consul's address must be like http://127.0.0.1:8500, and is ${address}`);
  const heartbeatIntervalMs = ttlMs / 4;
  const link = await openConsulLink({ address, token, ca, pulseIntervalMs: ttlMs / 4, outageAfterMs: ttlMs, settleMs, nowMs, random, onProblem });
  try {
    await askForLeader(link.call);
  } catch (error) {
    await link.close();
    throw unavailable(address, error as CallError);
  }
  const serviceNames = createServiceNames({ link, random, onProblem });
  const settings = { link, ttlMs, heartbeatIntervalMs, serverCheckIntervalMs, nowMs, random, nonce, onProblem };
  const names = new Set<string>();
  const registrations = new Set<Registration>();
  const claiming = new Set<Promise<Registration>>();
  const watches = new Set<ReturnType<typeof watchConsulService>>();
  const givingUp = new AbortController();
  setMaxListeners(0, givingUp.signal);
  let closing: Promise<void> | undefined;
  const refuseWhenClosed = (): void => {
    if (closing) throw new RegistryError('REGISTRY_CLOSED', 'the registry was closed');
  };

  async function claim(instance: Instance): Promise<Registration> {
    const own = new Set<string>();
    const claimed = await claimName(instance, own, { ...settings, signal: givingUp.signal }).catch((error: CallError) => {
      throw refusal(address, instance, error);
    });
    if (claimed.kind === 'taken') {
      throw new RegistryError('ALREADY_REGISTERED',
        `${describe(instance)} is registered already, by another process (${claimed.by.claim} on ${claimed.by.node}); stop it, or use another name`);
    }
    const kept = keepRegistered(instance, claimed, own, settings);
    const leave = async (): Promise<void> => {
      await kept.leave();
      registrations.delete(registration);
      names.delete(describe(instance));
    };
    let leaving: Promise<void> | undefined;
    const registration: Registration = {
      async update(meta) {
        if (leaving) throw new RegistryError('REGISTRY_CLOSED', `${describe(instance)} has left`);
        const updated = readInstance({ ...instance, meta });
        if ('wrong' in updated) throw new RegistryError('INSTANCE_INVALID', `cannot update: ${updated.wrong}`);
        const isHeld = await kept.update(updated.meta).catch((error: CallError) => {
          throw refusal(address, instance, error);
        });
        if (!isHeld) throw new RegistryError('ALREADY_REGISTERED', `${describe(instance)} now belongs to another process`);
      },
      leave: () => (leaving ??= leave()),
    };
    registrations.add(registration);
    return registration;
  }

  async function reportMissingRights(service: ServiceName): Promise<void> {
    const wanted: readonly Right[] = [
      { resource: 'service', name: consulServicePrefix(service), access: 'read' },
      { resource: 'node', name: '', access: 'read' },
    ];
    for (const { resource, name, access } of await findMissingRights({ address, token, ca }, wanted)) {
      if (closing) return;
      onProblem({ where: address, severity: 'error', message: `consul: ${mayNot(`see ${name || 'node '}*`, `${resource}:${access}`)}: Consul leaves them out of its lists` });
    }
  }

  return {
    async register(candidate) {
      refuseWhenClosed();
      const instance = readInstance(candidate);
      if ('wrong' in instance) throw new RegistryError('INSTANCE_INVALID', `cannot register: ${instance.wrong}`);
      const name = describe(instance);
      if (names.has(name)) throw new RegistryError('ALREADY_REGISTERED', `${name} is registered already, by this process`);
      names.add(name);
      const registering = claim(instance);
      claiming.add(registering);
      try {
        return await registering;
      } catch (error) {
        names.delete(name);
        throw error;
      } finally {
        claiming.delete(registering);
        // Closed meanwhile: `close` leaves with it.
        refuseWhenClosed();
      }
    },

    watch(service, onChange) {
      refuseWhenClosed();
      const watch = watchConsulService({ link, names: serviceNames, service, random, onProblem, onChange });
      watches.add(watch);
      void reportMissingRights(service);
      return {
        get instances() {
          return watch.instances;
        },
        close() {
          watches.delete(watch);
          watch.close();
        },
      };
    },

    close: () => (closing ??= (async () => {
      for (const watch of watches) watch.close();
      givingUp.abort();
      await Promise.allSettled(claiming);
      await Promise.all([...registrations].map((registration) => registration.leave()));
      await link.close();
    })()),
  };
}

function describe({ service, id }: Instance): string {
  return `${service} "${id}"`;
}

function unavailable(address: string, { message }: CallError): RegistryError {
  return new RegistryError('REGISTRY_UNAVAILABLE', `Consul at ${address} cannot be used: ${message}; start a Consul agent there, or set the right address`);
}

function refusal(address: string, instance: Instance, error: CallError): RegistryError {
  if (error.status === 400) return new RegistryError('INSTANCE_INVALID', `cannot register: Consul refuses ${describe(instance)}: ${error.message}`);
  if (error.status === 403) return new RegistryError('NOT_PERMITTED', describeCallError(error, mayNot(`register ${consulServiceName(instance)}`, 'service:write')));
  return unavailable(address, error);
}
