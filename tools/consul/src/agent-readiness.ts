// Tells when an agent is ready to be used: it leads, is healthy in its own eyes, and has what its options promise.

import { setTimeout as sleep } from 'node:timers/promises';

const POLL_INTERVAL_MS = 50;
const REQUEST_TIMEOUT_MS = 2000;

/**
 * Resolves with the management token, if there are ACLs: the given one, else a new one.
 *
 * @throws the signal's reason when it aborts
 */
export async function untilReady({ address, node, acl, connect, withoutToken, token: known, signal }: {
  readonly address: string;
  readonly node: string;
  readonly acl: boolean;
  readonly connect: boolean;
  /** Leaves the making of the management token to others. Less can be known then. */
  readonly withoutToken: boolean;
  readonly token: string | undefined;
  readonly signal: AbortSignal;
}): Promise<string | undefined> {
  const until = async <T>(path: string, read: (body: unknown) => T | undefined, request: Ask = {}): Promise<T> => {
    for (;;) {
      // oxlint-disable no-await-in-loop -- polls
      signal.throwIfAborted();
      const body = await ask(`${address}${path}`, request, signal);
      const result = body === undefined ? undefined : read(body);
      if (result !== undefined) return result;
      await sleep(POLL_INTERVAL_MS, undefined, { signal }).catch(() => signal.throwIfAborted());
      // oxlint-enable no-await-in-loop
    }
  };
  const yes = (condition: boolean): true | undefined => condition || undefined;

  await until('/v1/status/leader', (leader) => yes(leader !== ''));
  let token = known;
  const untilAuthority = (): Promise<true> => until('/v1/connect/ca/roots', (roots) => yes(Boolean((roots as { ActiveRootID?: string }).ActiveRootID)), { token });
  if (acl && withoutToken) {
    if (connect) await untilAuthority();
    return undefined;
  }
  if (acl) {
    token ??= await until('/v1/acl/bootstrap', (answer) => (answer as { SecretID?: string }).SecretID, { method: 'PUT' });
    await until('/v1/agent/token/agent', () => true, { method: 'PUT', token, body: JSON.stringify({ Token: token }) });
  }
  // Whoever else may have got our port has another name.
  await until('/v1/agent/self', (self) => yes((self as { Config: { NodeName: string } }).Config.NodeName === node), { token });
  await until(`/v1/health/node/${node}`, (checks) => yes((checks as { CheckID: string; Status: string }[])
    .some((check) => check.CheckID === 'serfHealth' && check.Status === 'passing')), { token });
  if (connect) await untilAuthority();
  return token;
}

interface Ask {
  readonly method?: 'GET' | 'PUT';
  readonly token?: string | undefined;
  readonly body?: string;
}

/** Undefined when there is no good answer yet. */
async function ask(url: string, { method = 'GET', token, body }: Ask, signal: AbortSignal): Promise<unknown> {
  try {
    const response = await fetch(url, {
      method,
      headers: token === undefined ? {} : { 'X-Consul-Token': token },
      body: body ?? null,
      signal: AbortSignal.any([signal, AbortSignal.timeout(REQUEST_TIMEOUT_MS)]),
    });
    const text = await response.text();
    if (!response.ok) return undefined;
    return text === '' ? null : JSON.parse(text);
  } catch {
    return undefined;
  }
}
