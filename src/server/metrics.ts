/** What is counted, in Prometheus' form: base units, counters ending in `_total`. */
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import type { TurnQueue } from '../tasks/turn-queue.ts';

const buckets = [0.005, 0.025, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600];

export class Metrics {
  readonly registry = new Registry();
  readonly requests: Counter<'route' | 'code'>;
  readonly requestSeconds: Histogram<'route'>;
  readonly firstTokenSeconds: Histogram<'route'>;
  readonly imageTokens: Counter;
  readonly textTokens: Counter;
  readonly cancelled: Counter<'reason'>;
  readonly rejected: Counter<'reason'>;
  readonly notFinite: Counter;

  constructor(queue: TurnQueue) {
    const registers = [this.registry];
    const counter = <Label extends string>(name: string, help: string, labelNames: Label[] = []) =>
      new Counter({ name, help, labelNames, registers });
    const histogram = (name: string, help: string) =>
      new Histogram({ name, help, labelNames: ['route' as const], buckets, registers });
    const gauge = (name: string, help: string, read: () => number) =>
      new Gauge({
        name,
        help,
        registers,
        collect() {
          this.set(read());
        },
      });
    collectDefaultMetrics({ register: this.registry });
    this.requests = counter('star_requests_total', 'Requests that were answered.', ['route', 'code']);
    this.requestSeconds = histogram(
      'star_request_seconds',
      'From the first byte of a request to the last of its answer.',
    );
    this.firstTokenSeconds = histogram('star_first_token_seconds', 'From the turn of a request to its first token.');
    this.imageTokens = counter('star_image_tokens_total', 'Tokens drawn for pictures.');
    this.textTokens = counter('star_text_tokens_total', 'Tokens drawn for words.');
    this.cancelled = counter('star_cancelled_total', 'Accepted requests that did not finish.', ['reason']);
    this.rejected = counter('star_rejected_total', 'Requests that were turned away.', ['reason']);
    this.notFinite = counter('star_nonfinite_total', 'Runs whose result was not finite.');
    gauge('star_queue_depth', 'Requests that wait.', () => queue.depth);
    gauge('star_queue_limit', 'Requests that may run or wait.', () => queue.limit);
    gauge('star_inflight', 'Requests that run.', () => queue.running);
  }
}
