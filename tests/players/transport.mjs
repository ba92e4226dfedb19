// A reader of transport streams that shares nothing with the server's: bytes in as they come, and what
// is wrong with them (ISO/IEC 13818-1). Continuity counters of every identifier, tables in time, the
// clock without jumps, decoding times that rise and are not behind the clock.

const PACKET_SIZE = 188;
const SYNC = 0x47;
/** 33 bits of ticks at 90 kHz, which times are counted in. */
const WRAP = 2 ** 33;
const TICKS = 90;
/** 2.7.2: at most so many milliseconds between two values of the clock. */
const CLOCK_MS_MAX = 100;
/** A clock that goes further than this has jumped. */
const JUMP_MS = 2_000;
const FAULTS_MAX = 20;

/** From one time to a later one, in milliseconds; less than nothing if it is earlier. */
function since(earlier, later) {
  const ticks = (later - earlier + WRAP) % WRAP;
  return (ticks < WRAP / 2 ? ticks : ticks - WRAP) / TICKS;
}

/** 33 bits of a time in the header of a packetised elementary stream (2.4.3.7). */
function time(bytes, at) {
  const high = (bytes[at] >> 1) & 7;
  return high * 2 ** 30 + (((bytes[at + 1] << 8) | bytes[at + 2]) >> 1) * 2 ** 15 + (((bytes[at + 3] << 8) | bytes[at + 4]) >> 1);
}

export class Reader {
  #rest = Buffer.alloc(0);
  #counters = new Map();
  #decoded = new Map();
  #tables = new Map();
  #tableIds = new Set();
  #clock = null;
  #longest = { clock: 0, tables: 0, lead: 0 };
  packets = 0;
  faults = [];
  /** Milliseconds of the stream, by its clock. */
  passed = 0;

  #fault(what) {
    if (this.faults.length < FAULTS_MAX) this.faults.push(`packet ${this.packets}: ${what}`);
  }

  take(bytes) {
    const all = this.#rest.length ? Buffer.concat([this.#rest, bytes]) : bytes;
    let at = 0;
    for (; at + PACKET_SIZE <= all.length; at += PACKET_SIZE) {
      this.#packet(all.subarray(at, at + PACKET_SIZE));
      this.packets += 1;
    }
    this.#rest = all.subarray(at);
  }

  #packet(packet) {
    if (packet[0] !== SYNC) return this.#fault(`begins with ${packet[0]}`);
    const pid = ((packet[1] & 0x1f) << 8) | packet[2];
    const begins = (packet[1] & 0x40) !== 0;
    const [hasField, hasPayload] = [(packet[3] & 0x20) !== 0, (packet[3] & 0x10) !== 0];
    const field = hasField ? packet.subarray(5, 5 + packet[4]) : Buffer.alloc(0);
    const payload = hasPayload ? packet.subarray(hasField ? 5 + packet[4] : 4) : Buffer.alloc(0);
    if (packet[1] & 0x80) this.#fault(`${pid} says that it is damaged`);
    if (pid === 0x1fff) return;
    const broken = field.length > 0 && (field[0] & 0x80) !== 0;
    const last = this.#counters.get(pid);
    const expected = hasPayload ? (last + 1) & 15 : last;
    if (last !== undefined && !broken && (packet[3] & 15) !== expected) this.#fault(`${pid} goes from ${last} to ${packet[3] & 15}`);
    this.#counters.set(pid, packet[3] & 15);
    if (field.length >= 7 && field[0] & 0x10) this.#tick(field, broken);
    if (pid === 0 && begins) this.#association(payload);
    if (pid === 0 || this.#tableIds.has(pid)) return this.#table(pid);
    if (begins && payload.length >= 14 && payload.readUIntBE(0, 3) === 1) this.#unit(pid, payload);
  }

  /** The programme clock: 33 bits of ticks; the finer ones do not matter here. */
  #tick(field, broken) {
    const clock = field.readUInt32BE(1) * 2 + (field[5] >> 7);
    if (this.#clock !== null && !broken) {
      const step = since(this.#clock, clock);
      if (step < 0 || step > JUMP_MS) this.#fault(`the clock goes on by ${step} ms`);
      else this.passed += step;
      this.#longest.clock = Math.max(this.#longest.clock, step);
    }
    this.#clock = clock;
  }

  /** Which identifiers have the tables of programmes (2.4.4.3). */
  #association(payload) {
    const section = payload.subarray(1 + payload[0]);
    const end = 3 + (((section[1] & 0x0f) << 8) | section[2]) - 4;
    for (let at = 8; at + 4 <= end; at += 4) {
      if (section.readUInt16BE(at) !== 0) this.#tableIds.add(section.readUInt16BE(at + 2) & 0x1fff);
    }
  }

  #table(pid) {
    if (this.#clock === null) return;
    const last = this.#tables.get(pid);
    if (last !== undefined) this.#longest.tables = Math.max(this.#longest.tables, since(last, this.#clock));
    this.#tables.set(pid, this.#clock);
  }

  #unit(pid, payload) {
    const flags = payload[7] >> 6;
    if (flags < 2) return;
    const presented = time(payload, 9);
    const decoded = flags === 3 ? time(payload, 14) : presented;
    if (since(decoded, presented) < 0) this.#fault(`${pid} is shown before it is decoded`);
    const last = this.#decoded.get(pid);
    if (last !== undefined && since(last, decoded) <= 0) this.#fault(`${pid} goes on by ${since(last, decoded)} ms`);
    this.#decoded.set(pid, decoded);
    if (this.#clock === null) return;
    const lead = since(this.#clock, decoded);
    if (lead < 0) this.#fault(`${pid} comes ${-lead} ms too late`);
    this.#longest.lead = Math.max(this.#longest.lead, lead);
  }

  /** What was found, once all has come. */
  found() {
    const { clock, tables, lead } = this.#longest;
    const faults = [...this.faults];
    if (clock > CLOCK_MS_MAX) faults.push(`the clock was not sent for ${clock} ms`);
    return { packets: this.packets, streams: this.#decoded.size, seconds: this.passed / 1000, clock, tables, lead, faults };
  }
}
