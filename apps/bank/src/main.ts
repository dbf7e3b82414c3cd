// A bank: wires its services together, takes up what it holds in doubt, and serves.

import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import {
  createGrants, createLoginLimiter, createPasswords, createRefreshLimiter, GRANT_LIFETIME_MS, openKeyRing, openLoginSessions, openSecret,
} from '@strife/auth';
import type { Passwords } from '@strife/auth';
import { openDiscovery } from '@strife/discovery';
import * as ledger from '@strife/ledger';
import { createLogger, createRotatingChannel, createServiceServer, endWithParent, Registry, runService, serveMetrics, wholeMessages } from '@strife/service';
import type { RunningService } from '@strife/service';
import { createLedgerResource, openLedgerStore } from '@strife/storage';
import type { LedgerStore } from '@strife/storage';
import { AdminServiceDefinition, BankServiceDefinition, ParticipantServiceDefinition } from '@strife/stubs/bank';
import { createInquirer, createParticipant, systemClock } from '@strife/two-phase-commit';
import { createAccountApi } from './account-api.ts';
import { createAdminApi } from './admin-api.ts';
import { createLegMetrics } from './bank-metrics.ts';
import { callSummaries } from './call-summaries.ts';
import { readConfig } from './config.ts';
import { createExplainApi } from './explain-api.ts';
import { createGatewayNetwork } from './gateway-network.ts';
import { createLoginApi } from './login-api.ts';
import { createPageTurns } from './page-turns.ts';
import { createParticipantApi } from './participant-api.ts';
import { readSeedFile } from './seed.ts';

const VERSION = '0.1.0';
const clock = systemClock;
/** Where a payment came so short a time ago, the next is expected. */
const PAYING_MS = 100;

async function start(): Promise<RunningService> {
  const config = readConfig(process.argv.slice(2), process.env);
  const bank = config.name;
  const service = `bank-${bank}`;
  const seeds = config.seed === undefined ? [] : await readSeedFile(config.seed);
  const logger = createLogger({ service, directory: config.logDir, level: config.logLevel, terminal: true });
  let paidAtMs = -Infinity;
  const passwords = createPasswords({
    // With two processors, payments and a flood of logins together want more than there is.
    restsWhile: () => clock.monotonicMs() - paidAtMs < PAYING_MS,
    onProblem: (error) => logger.error('logins are interrupted', { error }),
  });
  const discovery = await openDiscovery({
    ...config, mode: config.discovery, role: 'bank', onProblem: (problem) => logger.log(problem.severity ?? 'warn', 'discovery problem', { problem }),
  });
  const { registry, certificates } = discovery;
  const certificateProblem = (error: Error): void => void logger.error('a new certificate cannot be used; the one before stays', { error });

  const store = openLedgerStore({
    file: join(config.dataDir, `${service}.sqlite`), bank, nowMs: clock.nowMs, ledger, onFatal: fatal,
  });
  await passwords.ready();
  const opened = await openSeedAccounts(store, passwords, seeds);
  const keys = await openKeyRing({ file: join(config.dataDir, `${service}.jwk`) });
  const sessions = openLoginSessions({
    store: store.sessions, secret: await openSecret(join(config.dataDir, `${service}.refresh-secret`)), bank,
    lifetimeMs: config.refreshLifetimeMs, grantLifetimeMs: GRANT_LIFETIME_MS, nowMs: clock.nowMs, monotonicMs: clock.monotonicMs,
  });
  const grants = createGrants({ keys, bank, hasEnded: sessions.hasEnded, nowMs: clock.nowMs });

  const metrics = new Registry();
  const legs = createLegMetrics(metrics, store, clock);
  const participant = createParticipant({
    bank, clock,
    resource: createLedgerResource(store, ledger),
    onEnded: (ended, waitedMs) => inquirer.ended(ended, waitedMs),
    onWrite(items) {
      paidAtMs = clock.monotonicMs();
      legs.observeWrite(items);
    },
    onAlarm: (alarm) => logger.error('an invariant of the protocol is broken', alarm),
  });
  const inquirer = createInquirer({
    clock,
    legs: store.legsInDoubt,
    ask: (log, inquiries) => gateways.ask(log, inquiries),
    decide: (commands) => participant.decide(commands),
    onFailure: (log, error) => logger.debug('inquiry failed', { log, failure: String(error) }),
  });
  const inDoubt = (): number => store.inDoubt().legs;
  const gateways = createGatewayNetwork({
    registry,
    openChannel: ({ id, host, port }) => createRotatingChannel({ address: `${host}:${port}`, tls: certificates, onProblem: certificateProblem, expect: { role: 'gateway', name: id } }),
    onLogServed: (log) => inquirer.wake(log),
  });

  const server = createServiceServer({ name: service, host: config.host, port: config.port, tls: certificates, intentions: discovery.intentions, logger, access, metrics, summarize: callSummaries });
  server.add(BankServiceDefinition, {
    ...createLoginApi({ store, passwords, logins: createLoginLimiter(), refreshes: createRefreshLimiter(), sessions, grants }),
    ...createAccountApi({ store, grants, turns: createPageTurns(clock) }),
    ...createExplainApi({ store, grants }),
  });
  server.add(wholeMessages(ParticipantServiceDefinition, 'prepare', 'decide', 'exchange'), createParticipantApi({ bank, participant: legs.observeCalls(participant), grants, clock }));
  server.add(AdminServiceDefinition, createAdminApi(store, passwords));
  const { port, address } = await server.listen();
  const shown = config.metricsPort === undefined ? undefined : await serveMetrics({ registry: metrics, host: config.metricsHost, port: config.metricsPort });
  const registration = await registry.register({ service: 'bank', id: bank, ...(config.advertise ?? { host: config.host, port }), meta: { bank, version: VERSION, run: randomUUID() } });
  logger.info(`ready on ${address}`, { accountsOpened: opened, inDoubt: inDoubt(), ...(shown === undefined ? {} : { metrics: shown.url }) });
  endWithParent();

  return {
    logger,
    async stop() {
      await registration.leave();
      await shown?.close();
      await server.stop(config.drainTimeoutMs);
      await passwords.close();
      inquirer.stop();
      gateways.close();
      await participant.drain();
      await discovery.close();
      const left = inDoubt();
      store.close();
      logger.info('stopped', { inDoubt: left });
    },
  };

  function fatal(error: Error): never {
    logger.error('the books cannot be written: stopping', { error });
    process.stderr.write(`${service}: the books cannot be written: ${error.message}\n`);
    process.exit(1);
  }
}

const access = {
  'strife.bank.v1.BankService': ['gateway'],
  'strife.bank.v1.ParticipantService': ['gateway'],
  'strife.bank.v1.AdminService': ['operator'],
} as const;

/** Opens accounts for users that have none. Existing ones keep their password and balance, so that a restart changes nothing. */
async function openSeedAccounts(store: LedgerStore, passwords: Passwords, seeds: Awaited<ReturnType<typeof readSeedFile>>): Promise<number> {
  const users = [];
  for (const { username, password, currency, openingMinor } of seeds) {
    if (store.userHash(username) !== undefined) continue;
    users.push({ username, currency, openingMinor, passwordHash: await passwords.hash(password) });
  }
  return users.length === 0 ? 0 : store.createUsers(users).length;
}

await runService(start);
