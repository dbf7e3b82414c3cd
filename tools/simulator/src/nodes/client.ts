// A simulated client with one payment to make: it asks, asks again under the same id at any gateway, and keeps what it is told.

import type { TransferResult } from '@strife/two-phase-commit';
import type { PaymentPlan } from '../plan.ts';
import type { Life, Process } from '../processes.ts';
import type { World } from '../world.ts';

export interface Client {
  readonly payment: PaymentPlan;
  /** What it holds for final; undefined while it would ask again. */
  final: TransferResult | undefined;
  /** From now on it asks for nothing new. */
  pause(): void;
  /** From now on it asks until it knows, with a grant that is good. */
  insist(): void;
}

/** How long a client waits for an answer, beyond what an attempt and the settling may take. */
const PATIENCE_MS = 300;
const PAUSE_MS = 60;

export function createClient(world: World, payment: PaymentPlan, life: Life, gateways: readonly Process[]): Client {
  const { plan, random, scheduler, network } = world;
  const timeoutMs = plan.prepareTimeoutMs + plan.settleWaitMs + PATIENCE_MS;
  let tries = 0;
  let asking = 0;
  let insisting = false;
  let pausing = false;

  const client: Client = {
    payment,
    final: undefined,
    pause() {
      pausing = true;
    },
    insist() {
      insisting = true;
      pausing = false;
      if (client.final === undefined && asking === 0) askLater();
    },
  };

  function ask(): void {
    if (client.final !== undefined || pausing || (!insisting && tries >= payment.triesMax)) return;
    tries += 1;
    asking += 1;
    const gateway = random.pick(gateways);
    network.call(life, gateway, {
      what: () => `create ${payment.id.slice(-4)}`,
      timeoutMs,
      serve: () => world.gatewayLife(gateway.name)!.create(payment, insisting ? 'good' : payment.grant),
    }).then(hear, () => hear({ kind: 'unknown' }));
  }

  function askLater(): void {
    scheduler.after(random.between(0, PAUSE_MS), life, ask);
  }

  function hear(result: TransferResult): void {
    asking -= 1;
    world.trace?.(`client of ${payment.id.slice(-4)} hears ${describe(result)}`);
    if (result.kind === 'succeeded' || result.kind === 'declined' || result.kind === 'mismatch') {
      if (client.final === undefined) world.clientIsDone();
      client.final ??= result;
    } else if (asking === 0) askLater();
  }

  scheduler.at(payment.startsAtMs, life, () => {
    ask();
    if (payment.impatient) ask();
  });
  return client;
}

function describe(result: TransferResult): string {
  if (result.kind === 'not-applied') return `not applied (${result.why})`;
  if (result.kind === 'declined') return `declined (${result.reason})`;
  return result.kind;
}
