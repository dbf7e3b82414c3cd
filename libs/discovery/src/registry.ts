// The port through which services find each other. Drivers: the embedded registry for one machine, and Consul.

export type ServiceName = 'gateway' | 'bank';

/** One running process of a service. */
export interface Instance {
  readonly service: ServiceName;
  /** Unique within the service, and the same after a restart. Letters, digits, `.`, `_`, `-`; at most 128. */
  readonly id: string;
  readonly host: string;
  readonly port: number;
  /**
   * Banks carry `bank`, their own name. Gateways carry `logId`, and `keys`: the public keys, as `KeyRing.published` of `@strife/auth` gives them, by which
   * the others verify the sessions that this one made. Both carry `version`, and `run`, another one after each start: by it a restart at the same
   * address is a change, too. In Consul a value has at most 512 characters.
   */
  readonly meta: Readonly<Record<string, string>>;
}

export interface Registry {
  /**
   * Makes the instance visible to watchers, and keeps it so until `leave`, `close` or the end of this process, however it
   * ends. When it resolves, a watch that starts now sees the instance.
   *
   * @throws RegistryError INSTANCE_INVALID; ALREADY_REGISTERED while another live process (or this one) holds the service and id;
   *   NOT_PERMITTED; REGISTRY_UNAVAILABLE; REGISTRY_CLOSED
   */
  register(instance: Instance): Promise<Registration>;

  /**
   * Follows the live instances of a service. `onChange` gets the full list, sorted by id: once as soon as it is known (also
   * when it is empty, and never before `watch` has returned), and then on every change and only then. A change is heard
   * within a second, unless the driver says otherwise. While the registry cannot be read the last list stays.
   *
   * @throws RegistryError REGISTRY_CLOSED
   */
  watch(service: ServiceName, onChange: (instances: readonly Instance[]) => void): Watch;

  /** Leaves with all registrations made here and ends all watches. Repeating it is a no-op. */
  close(): Promise<void>;
}

export interface Registration {
  /**
   * Replaces all metadata. No watcher ever sees the instance missing, nor any but the old and the new metadata; when it resolves, a watch that starts
   * now sees the new. When it rejects, the old may be seen or the new: repeat it. Of several, the last one asked for stays.
   *
   * @throws RegistryError INSTANCE_INVALID; ALREADY_REGISTERED while another process has taken the name; NOT_PERMITTED; REGISTRY_UNAVAILABLE;
   *   REGISTRY_CLOSED after `leave`
   */
  update(meta: Instance['meta']): Promise<void>;
  /** Makes the instance invisible; when it resolves, a watch that starts now does not see it. Repeating it is a no-op. */
  leave(): Promise<void>;
}

export interface Watch {
  /** The list that `onChange` got last; empty before the first. */
  readonly instances: readonly Instance[];
  /** `onChange` is not called after this returned. */
  close(): void;
}

export type RegistryErrorCode =
  | 'INSTANCE_INVALID'
  | 'ALREADY_REGISTERED'
  /** The token lacks a right, which the message names. */
  | 'NOT_PERMITTED'
  | 'REGISTRY_UNAVAILABLE'
  | 'REGISTRY_CLOSED';

/** The message says what is wrong and what to do. */
export class RegistryError extends Error {
  override readonly name = 'RegistryError';
  readonly code: RegistryErrorCode;
  constructor(code: RegistryErrorCode, message: string) {
    super(message);
    this.code = code;
  }
}

/** Something that a registry met and went on from, such as a damaged file. Worth a line in the log. */
export interface RegistryProblem {
  readonly where: string;
  readonly message: string;
  /** It does not end by itself: somebody must do something. */
  readonly severity?: 'error';
  /** This tells that a problem is over. */
  readonly recovered?: true;
}

/**
 * Reads an instance from outside (a file, a catalogue), or says which field is wrong.
 * Only the port's own fields are kept; the result is frozen.
 */
export function readInstance(value: unknown): Instance | { readonly wrong: string } {
  const { service, id, host, port, meta } = (value ?? {}) as Record<keyof Instance, unknown>;
  if (service !== 'gateway' && service !== 'bank') return { wrong: 'service: must be "gateway" or "bank"' };
  if (typeof id !== 'string' || !isInstanceId(id)) {
    return { wrong: 'id: must be 1 to 128 letters, digits, ".", "_" or "-", starting with a letter or digit' };
  }
  if (typeof host !== 'string' || host === '') return { wrong: 'host: must not be empty' };
  if (!Number.isInteger(port) || Number(port) < 1 || Number(port) > 65_535) return { wrong: 'port: must be 1 to 65535' };
  if (typeof meta !== 'object' || meta === null || Object.values(meta).some((text) => typeof text !== 'string')) {
    return { wrong: 'meta: must map names to text' };
  }
  return Object.freeze({ service, id, host, port: Number(port), meta: Object.freeze({ ...meta as Record<string, string> }) });
}

/** Sorts by id, in the order of code units, so that every process sees the same order. */
export function sortInstances(instances: Iterable<Instance>): readonly Instance[] {
  return Object.freeze([...instances].sort((a, b) => (a.id < b.id ? -1 : 1)));
}

export function isInstanceId(text: string): boolean {
  return ID.test(text);
}

const ID = /^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/;
