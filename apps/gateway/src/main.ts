// The gateway: wires its services together, recovers, and serves.

import { join } from 'node:path';
import { createAuthMiddleware, createRevocations, createSessionTokens, openKeyRing } from '@strife/auth';
import { openCertificateFiles, openEmbeddedRegistry } from '@strife/discovery';
import { createLogger, createPeerChannel, createServiceServer, endWithParent, runService } from '@strife/service';
import type { RunningService } from '@strife/service';
import { AccountServiceDefinition, CoordinatorServiceDefinition, SessionServiceDefinition, TransferServiceDefinition } from '@strife/stubs/gateway';
import { openDecisionLog } from '@strife/storage';
import { createCoordinator, mayReplace, systemClock } from '@strife/two-phase-commit';
import { Status } from 'nice-grpc-common';
import { createAccountApi } from './account-api.ts';
import { createBankNetwork } from './bank-network.ts';
import { callSummaries } from './call-summaries.ts';
import { readConfig } from './config.ts';
import { createCoordinatorApi } from './coordinator-api.ts';
import { toRpcError } from './failures.ts';
import { createSessionApi } from './session-api.ts';
import { createTransferApi } from './transfer-api.ts';

const VERSION = '0.1.0';
const clock = systemClock;

async function start(): Promise<RunningService> {
  const config = readConfig(process.argv.slice(2), process.env);
  const service = `gateway-${config.name}`;
  const certificates = await openCertificateFiles({ directory: config.certsDir, role: 'gateway', name: config.name });
  const tls = pemTexts(certificates.current());
  const logger = createLogger({ service, directory: config.logDir, level: config.logLevel, terminal: true });

  const log = openDecisionLog({ file: join(config.dataDir, `${service}.sqlite`), nowMs: clock.nowMs, mayReplace, onFatal: fatal });
  const keys = await openKeyRing({ file: join(config.dataDir, `${service}.jwk`) });
  const tokens = createSessionTokens({ keys, issuer: `strife-gateway/${config.name}`, audience: 'strife', nowMs: clock.nowMs });
  const revocations = await createRevocations({ store: log.revocations, nowMs: clock.nowMs });

  const registry = await openEmbeddedRegistry({ directory: config.registryDir, onProblem: (problem) => logger.warn('registry problem', { problem }) });
  const network = createBankNetwork({
    registry,
    openChannel: (bank, { host, port }) => createPeerChannel({ address: `${host}:${port}`, tls, expect: { role: 'bank', name: bank } }),
    knownBanks: log.knownBanks,
    logId: log.logId,
    clock,
    random: Math.random,
    prepareTimeoutMs: config.prepareTimeoutMs,
    logger,
  });
  const coordinator = createCoordinator({ log, link: network, clock, prepareTimeoutMs: config.prepareTimeoutMs, settleWaitMs: config.settleWaitMs });

  const server = createServiceServer({
    name: service, host: config.host, port: config.port, tls, logger, access, summarize: callSummaries,
    middleware: createAuthMiddleware({
      tokens, revocations,
      publicMethods: new Set(['/strife.gateway.v1.SessionService/Login']),
      services: new Set(['strife.gateway.v1.SessionService', 'strife.gateway.v1.AccountService', 'strife.gateway.v1.TransferService']),
      refuse: ({ code, message }) =>
        toRpcError({ code: Status.UNAUTHENTICATED, reason: code, message, field: 'authorization', outcome: 'not_applied', retryable: false }),
    }),
  });
  server.add(SessionServiceDefinition, createSessionApi({ network, tokens, revocations, clock }));
  server.add(AccountServiceDefinition, createAccountApi(network));
  server.add(TransferServiceDefinition, createTransferApi({ coordinator, log, network, clock }));
  server.add(CoordinatorServiceDefinition, createCoordinatorApi({ coordinator, log, clock }));

  const recovered = await coordinator.recover();
  const { port, address } = await server.listen();
  const registration = await registry.register({
    service: 'gateway', id: config.name, host: config.host, port, meta: { logId: log.logId, version: VERSION },
  });
  logger.info(`ready on ${address}`, { logId: log.logId, recovered });
  endWithParent();

  return {
    logger,
    async stop() {
      await registration.leave();
      await server.stop(config.drainTimeoutMs);
      await coordinator.drain();
      network.close();
      await registry.close();
      certificates.close();
      log.close();
      logger.info('stopped', { undelivered: network.undelivered() });
    },
  };

  function fatal(error: Error): never {
    logger.error('the decision log cannot be written: stopping', { error });
    process.stderr.write(`${service}: the decision log cannot be written: ${error.message}\n`);
    process.exit(1);
  }
}

const access = {
  'strife.gateway.v1.SessionService': ['client', 'operator'],
  'strife.gateway.v1.AccountService': ['client', 'operator'],
  'strife.gateway.v1.TransferService': ['client', 'operator'],
  'strife.gateway.v1.CoordinatorService': ['bank'],
} as const;

function pemTexts({ ca, cert, key }: { ca: Buffer; cert: Buffer; key: Buffer }): { ca: string; cert: string; key: string } {
  return { ca: ca.toString(), cert: cert.toString(), key: key.toString() };
}

await runService(start);
