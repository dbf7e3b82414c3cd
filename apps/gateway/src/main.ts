// The gateway: wires its services together, recovers, and serves.

import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { createAuthMiddleware, createRevocations, createSessionTokens, openKeyRing, SESSION_LIFETIME_MS } from '@strife/auth';
import { openDiscovery } from '@strife/discovery';
import { createLogger, createRotatingChannel, createServiceServer, endWithParent, Registry, runService, serveMetrics, wholeMessages } from '@strife/service';
import type { RunningService } from '@strife/service';
import {
  AccountServiceDefinition, CoordinatorServiceDefinition, PeerServiceDefinition, SessionServiceDefinition, TransferServiceDefinition,
} from '@strife/stubs/gateway';
import { openDecisionLog } from '@strife/storage';
import { createCoordinator, mayReplace, systemClock } from '@strife/two-phase-commit';
import { Status } from 'nice-grpc-common';
import { createAccountApi } from './account-api.ts';
import { createBankNetwork } from './bank-network.ts';
import { callSummaries } from './call-summaries.ts';
import { readConfig } from './config.ts';
import { createCoordinatorApi } from './coordinator-api.ts';
import { createExplainApi } from './explain-api.ts';
import { toRpcError } from './failures.ts';
import { createPaymentMetrics } from './gateway-metrics.ts';
import { createGatewayPeers } from './gateway-peers.ts';
import { registerGateway } from './gateway-registration.ts';
import { issuerOf } from './issuer-keys.ts';
import { startKeyRotation } from './key-rotation.ts';
import { createPeerApi } from './peer-api.ts';
import { createReadLimiter } from './read-limiter.ts';
import { createSessionApi } from './session-api.ts';
import { createTransferApi } from './transfer-api.ts';

const VERSION = '0.1.0';
const clock = systemClock;

async function start(): Promise<RunningService> {
  const config = readConfig(process.argv.slice(2), process.env);
  const service = `gateway-${config.name}`;
  const logger = createLogger({ service, directory: config.logDir, level: config.logLevel, terminal: true });
  const discovery = await openDiscovery({
    ...config, mode: config.discovery, role: 'gateway', onProblem: (problem) => logger.log(problem.severity ?? 'warn', 'discovery problem', { problem }),
  });
  const { registry, certificates } = discovery;
  const certificateProblem = (error: Error): void => void logger.error('a new certificate cannot be used; the one before stays', { error });

  const log = openDecisionLog({ file: join(config.dataDir, `${service}.sqlite`), gateway: config.name, nowMs: clock.nowMs, mayReplace, onFatal: fatal });
  const keys = await openKeyRing({
    file: join(config.dataDir, `${service}.jwk`), leadMs: config.keyLeadMs, tokenLifetimeMs: SESSION_LIFETIME_MS, nowMs: clock.nowMs(),
  });
  const revocations = await createRevocations({ store: log.revocations, nowMs: clock.nowMs, monotonicMs: clock.monotonicMs });

  const peers = createGatewayPeers({
    registry, self: config.name, revocations, clock, logger,
    openChannel: ({ id, host, port }) => createRotatingChannel({ address: `${host}:${port}`, tls: certificates, onProblem: certificateProblem, expect: { role: 'gateway', name: id } }),
    graceMs: config.revocationGraceMs,
    onFreshness: (isFresh) => server.setServing(isFresh, TransferServiceDefinition.fullName),
  });
  const tokens = createSessionTokens({ keys, issuer: issuerOf(config.name), trusted: peers.keysOf, audience: 'strife', nowMs: clock.nowMs });
  const network = createBankNetwork({
    registry,
    openChannel: (bank, { host, port }) => createRotatingChannel({ address: `${host}:${port}`, tls: certificates, onProblem: certificateProblem, expect: { role: 'bank', name: bank } }),
    knownBanks: log.knownBanks,
    logId: log.logId,
    clock,
    random: Math.random,
    prepareTimeoutMs: config.prepareTimeoutMs,
    logger,
  });
  const metrics = new Registry();
  const payments = createPaymentMetrics(metrics);
  const coordinator = createCoordinator({ log: payments.observeWrites(log), link: network, clock, prepareTimeoutMs: config.prepareTimeoutMs, settleWaitMs: config.settleWaitMs });

  payments.watch(coordinator, log, clock);

  const server = createServiceServer({
    name: service, host: config.host, port: config.port, tls: certificates, intentions: discovery.intentions, logger, access, summarize: callSummaries,
    quietServices: [PeerServiceDefinition.fullName], metrics,
    middleware: createAuthMiddleware({
      tokens, revocations,
      publicMethods: new Set(['/strife.gateway.v1.SessionService/Login', '/strife.gateway.v1.SessionService/Refresh']),
      services: new Set(['strife.gateway.v1.SessionService', 'strife.gateway.v1.AccountService', 'strife.gateway.v1.TransferService']),
      refuse: ({ code, message }) =>
        toRpcError({ code: Status.UNAUTHENTICATED, reason: code, message, field: 'authorization', outcome: 'not_applied', retryable: false }),
    }),
  });
  server.add(SessionServiceDefinition, createSessionApi({ network, tokens, revocations, peers, clock }));
  const reads = createReadLimiter();
  const { createTransfer, batchCreateTransfers, ...lookUps } = createTransferApi({
    coordinator, log, network, clock, areRevocationsFresh: peers.isFresh, count: payments.count,
  });
  server.add(AccountServiceDefinition, reads.limited(createAccountApi(network)));
  server.add(wholeMessages(TransferServiceDefinition, 'createTransfer', 'batchCreateTransfers'), {
    createTransfer, batchCreateTransfers,
    ...reads.limited({ ...lookUps, ...createExplainApi({ gateway: config.name, peers, coordinator, log, network, clock }) }),
  });
  server.add(CoordinatorServiceDefinition, createCoordinatorApi({ coordinator, log, clock, isKnown: log.knownBanks.has }));
  server.add(PeerServiceDefinition, createPeerApi({ revocations, log }));

  const recovered = await coordinator.recover();
  await Promise.all([peers.ready(), network.ready()]);
  const { port, address } = await server.listen();
  const shown = config.metricsPort === undefined ? undefined : await serveMetrics({ registry: metrics, host: config.metricsHost, port: config.metricsPort });
  const published = keys.published();
  const registration = await registerGateway(registry, {
    id: config.name, ...(config.advertise ?? { host: config.host, port }), meta: { logId: log.logId, version: VERSION, run: randomUUID() },
  }, published);
  const rotation = startKeyRotation({ keys, keyLifetimeMs: config.keyLifetimeMs, published, publish: registration.publish, clock, logger });
  logger.info(`ready on ${address}`, { logId: log.logId, recovered, ...(shown === undefined ? {} : { metrics: shown.url }) });
  endWithParent();

  return {
    logger,
    async stop() {
      await rotation.close();
      await shown?.close();
      await registration.leave();
      await server.stop(config.drainTimeoutMs);
      await coordinator.drain();
      await network.close();
      // What the banks acknowledged at last.
      await coordinator.drain();
      peers.close();
      await discovery.close();
      log.close();
      logger.info('stopped', { undelivered: coordinator.load().undelivered });
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
  'strife.gateway.v1.PeerService': ['gateway'],
} as const;

await runService(start);
