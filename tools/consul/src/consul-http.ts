// Calls to Consul's HTTP interface for those who set it up: each with a time limit, and with failures of one line.

import { request as requestPlain } from 'node:http';
import { request as requestSecure } from 'node:https';

export interface ConsulHttp {
  /** @throws ConsulHttpError */
  get<T>(path: string): Promise<T>;
  /** @throws ConsulHttpError */
  put<T>(path: string, body?: object): Promise<T>;
  /** @throws ConsulHttpError */
  post<T>(path: string, body: object): Promise<T>;
}

/** One line. Never holds the token. */
export class ConsulHttpError extends Error {
  override readonly name = 'ConsulHttpError';
  /** What Consul answered; undefined when it did not. */
  readonly status: number | undefined;
  constructor(message: string, status?: number) {
    super(message);
    this.status = status;
  }
}

const TIMEOUT_MS = 10_000;

/** `ca`: in PEM, who signed the certificate of an agent at `https:`. */
export function createConsulHttp({ address, token, ca }: { readonly address: string; readonly token: string | undefined; readonly ca?: string | undefined }): ConsulHttp {
  async function call<T>(method: 'GET' | 'PUT' | 'POST', path: string, body?: object): Promise<T> {
    const url = new URL(path, address);
    const { promise, resolve, reject } = Promise.withResolvers<{ status: number; text: string }>();
    const headers = token === undefined ? {} : { 'X-Consul-Token': token };
    const options = { method, headers, signal: AbortSignal.timeout(TIMEOUT_MS), ...(ca !== undefined && { ca }) };
    const request = (url.protocol === 'https:' ? requestSecure : requestPlain)(url, options, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('error', reject);
      response.on('end', () => resolve({ status: response.statusCode ?? 0, text: Buffer.concat(chunks).toString() }));
    });
    request.on('error', reject);
    request.end(body === undefined ? undefined : JSON.stringify(body));
    const { status, text } = await promise.catch((error: NodeJS.ErrnoException) => {
      throw new ConsulHttpError(`Consul at ${address} does not answer (${error.code ?? error.message})`);
    });
    if (status >= 300) throw new ConsulHttpError(`Consul answers ${method} ${path} with ${status}: ${text.trim().split('\n')[0]}`, status);
    try {
      return (text === '' ? undefined : JSON.parse(text)) as T;
    } catch {
      throw new ConsulHttpError(`what answers at ${address} is not Consul: no JSON from ${path}`);
    }
  }
  return {
    get: (path) => call('GET', path),
    put: (path, body) => call('PUT', path, body),
    post: (path, body) => call('POST', path, body),
  };
}
