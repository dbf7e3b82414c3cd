// The port that shows a process's metrics to Prometheus: plain HTTP, `GET /metrics`, nothing else.
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { nonEmptyText, optional, port } from './config.ts';
import { StartupError } from './failures.ts';
import type { Registry } from './prometheus.ts';

// Not by `import`, which would read all of the module's exports and so load fetch and WebSocket: 14 MB and 35 ms of every start.
const { createServer } = process.getBuiltinModule('node:http');

export interface MetricsServerOptions {
  readonly registry: Registry;
  readonly host: string;
  /** 0 takes any free port. */
  readonly port: number;
}

export interface MetricsServer {
  /** `http://127.0.0.1:9464/metrics` */
  readonly url: string;
  /** Idempotent. */
  close(): Promise<void>;
}

/** Flags that every server with metrics has. */
export const metricsOptions = {
  metricsPort: { flag: '--metrics-port <number>', env: 'STRIFE_METRICS_PORT', schema: optional(port), help: 'port of the Prometheus metrics, plain HTTP; 0 takes any free one; none are served without it' },
  metricsHost: { flag: '--metrics-host <address>', env: 'STRIFE_METRICS_HOST', schema: nonEmptyText, default: '127.0.0.1', help: 'address of the Prometheus metrics' },
} as const;

const CONNECTIONS_MAX = 16;
const REQUEST_TIMEOUT_MS = 10_000;

/**
 * Serves the registry, with the metrics of the process and of its event loop, which are collected from now on.
 *
 * @throws StartupError of one line, such as `metrics port 9464 on 127.0.0.1 is in use`.
 */
export async function serveMetrics({ registry, host, port: asked }: MetricsServerOptions): Promise<MetricsServer> {
  const server = createServer({ requestTimeout: REQUEST_TIMEOUT_MS, headersTimeout: REQUEST_TIMEOUT_MS }, (request, response) => void answer(registry, request, response));
  server.maxConnections = CONNECTIONS_MAX;
  await listen(server, host, asked);
  // oxlint-disable-next-line eslint/no-restricted-imports -- the whole of it is for those who ask for metrics
  const { collectDefaultMetrics } = await import('prom-client');
  collectDefaultMetrics({ register: registry });
  const { port: bound } = server.address() as AddressInfo;
  let closed: Promise<void> | undefined;
  return {
    url: `http://${host.includes(':') ? `[${host}]` : host}:${bound}/metrics`,
    close() {
      closed ??= new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      });
      return closed;
    },
  };
}

async function answer(registry: Registry, { method, url }: IncomingMessage, response: ServerResponse): Promise<void> {
  if (method !== 'GET' && method !== 'HEAD') return end(response, 405, 'only GET\n', { allow: 'GET, HEAD' });
  if (url?.split('?')[0] !== '/metrics') return end(response, 404, 'only /metrics\n');
  try {
    end(response, 200, await registry.metrics(), { 'content-type': registry.contentType });
  } catch (error) {
    // A gauge that cannot be read: the process is about to stop, or its store has failed.
    end(response, 500, `metrics cannot be read: ${error instanceof Error ? error.message : String(error)}\n`);
  }
}

function end(response: ServerResponse, status: number, body: string, headers: Record<string, string> = { 'content-type': 'text/plain' }): void {
  response.writeHead(status, headers).end(body);
}

function listen(server: Server, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    // For good: an error after that is one of a connection, and must not end the process.
    server.on('error', (error: NodeJS.ErrnoException) => {
      const what = error.code === 'EADDRINUSE' ? 'is in use' : `cannot be listened on: ${error.code ?? error.message}`;
      reject(new StartupError(`metrics port ${port} on ${host} ${what}`, { cause: error }));
    });
    server.listen(port, host, resolve);
  });
}
