package dev.partita.synthetic.integration;

import dev.partita.hypervisor.TimeSource;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.UUID;

/// The heartbeat: every two seconds the guest's kernel is asked for a sign of life.
public final class Heartbeat extends IntegrationService {
  private static final UUID INTERFACE = UUID.fromString("57164f39-9115-4e78-ab55-382f3bd5422d");
  private static final UUID INSTANCE = UUID.fromString("fd149e91-82e0-4a7d-afa6-2a4166cbd7c0");
  private static final long INTERVAL_NANOS = 2_000_000_000L;

  /// Unanswered heartbeats after which the guest counts as lost.
  private static final int MOST_MISSED = 5;

  /// Sequence number and 8 reserved words (Linux, `struct heartbeat_msg_data`).
  private static final int BODY_SIZE = 40;

  private final TimeSource time;
  private long sequence;
  private long answered;

  public Heartbeat(TimeSource time) {
    super(INTERFACE, INSTANCE, IntegrationMessage.HEARTBEAT, time, version(1, 0), version(3, 0));
    this.time = time;
  }

  /// How the guest is.
  public enum Status {
    /// Its driver is not there, or not ready.
    NO_CONTACT,
    /// It answers.
    OK,
    /// It does not answer any more.
    LOST
  }

  /// How the guest is. Any thread.
  public synchronized Status status() {
    return agreedVersion() == 0
        ? Status.NO_CONTACT
        : sequence - answered > MOST_MISSED ? Status.LOST : Status.OK;
  }

  @Override
  void begin() {
    sequence = 0;
    answered = 0;
  }

  @Override
  void ready() {
    tick();
  }

  @Override
  void resumed() {
    tickIn(time, INTERVAL_NANOS);
  }

  @Override
  void tick() {
    // One that finds no room is a missed one.
    sequence++;
    var body = ByteBuffer.allocate(BODY_SIZE).order(ByteOrder.LITTLE_ENDIAN);
    request(body.putLong(0, sequence).array());
    tickIn(time, INTERVAL_NANOS);
  }

  @Override
  void received(IntegrationMessage answer) {
    if (answer.body().length < Long.BYTES) {
      return;
    }
    // The guest adds one.
    long number = ByteBuffer.wrap(answer.body()).order(ByteOrder.LITTLE_ENDIAN).getLong() - 1;
    if (number > answered && number <= sequence) {
      answered = number;
    }
  }

  @Override
  long sequence() {
    return sequence;
  }

  @Override
  long answered() {
    return answered;
  }

  @Override
  void restoreNumbers(long sequence, long answered) {
    this.sequence = sequence;
    this.answered = answered;
  }
}
