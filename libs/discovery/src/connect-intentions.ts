// Consul's intentions: which service may call which, asked of the agent on this machine, which keeps the answers itself.

import { askAgent, AUTHORIZE_PATH, ConnectError } from './connect-agent.ts';

export interface ConnectIntentions {
  /**
   * Whether the holder of a certificate may call the service.
   *
   * @param serial In hexadecimal: `0A3F`.
   * @throws ConnectError when the agent cannot be asked
   */
  isAllowed(peerUri: string, serial: string): Promise<boolean>;
}

/** Every call of a peer that is not known yet waits for it, so it is short. */
const QUESTION_TIMEOUT_MS = 500;
const START_TIMEOUT_MS = 10_000;

/**
 * Asks once, so that an agent or a token that will not do is known at the start. Needs no closing.
 *
 * @throws ConnectError
 */
export async function openConnectIntentions({ address, token, ca, service }: {
  /** Of the agent on this machine: `http://127.0.0.1:8500`. */
  readonly address: string;
  /** Needs `service:write` for the service. */
  readonly token?: string | undefined;
  /** In PEM: who signed the certificate of an agent at `https:`. Otherwise those count that Node trusts. */
  readonly ca?: string | undefined;
  /** Who is called: `strife-bank-alpha`. */
  readonly service: string;
}): Promise<ConnectIntentions> {
  const ask = async (peerUri: string, serial: string, timeoutMs: number): Promise<boolean> => {
    const question = { Target: service, ClientCertURI: peerUri, ClientCertSerial: serial.toLowerCase().match(/../g)?.join(':') ?? serial };
    const { body } = await askAgent({ address, token, ca }, { path: AUTHORIZE_PATH, body: question, timeoutMs });
    const { Authorized } = (body ?? {}) as { Authorized?: unknown };
    if (typeof Authorized !== 'boolean') throw new ConnectError('CONNECT_UNUSABLE', `Consul at ${address} does not say whether a call is authorized`);
    return Authorized;
  };
  await ask(`spiffe://start.consul/ns/default/dc/dc1/svc/${service}`, '00', START_TIMEOUT_MS);
  return { isAllowed: (peerUri, serial) => ask(peerUri, serial, QUESTION_TIMEOUT_MS) };
}
