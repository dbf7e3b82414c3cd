// The parts of Prometheus's client that services use. The package's index loads OpenTelemetry too, 51 files at every start, for one metric of the process.

import type * as client from 'prom-client';
import CounterPart from 'prom-client/lib/counter.js';
import GaugePart from 'prom-client/lib/gauge.js';
import HistogramPart from 'prom-client/lib/histogram.js';
import RegistryPart from 'prom-client/lib/registry.js';

// With the types of the package: the parts have none that whoever uses this library could see.
export const Counter: typeof client.Counter = CounterPart;
export const Gauge: typeof client.Gauge = GaugePart;
export const Histogram: typeof client.Histogram = HistogramPart;
export const Registry: typeof client.Registry = RegistryPart;
export type Counter<Label extends string = string> = client.Counter<Label>;
export type Gauge<Label extends string = string> = client.Gauge<Label>;
export type Histogram<Label extends string = string> = client.Histogram<Label>;
export type Registry = client.Registry;
