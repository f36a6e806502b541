package dev.partita.synthetic.integration;

import dev.partita.hypervisor.TimeSource;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;

/// The backup service (volume shadow copy): the guest brings its file systems to rest, so that a
/// copy of its disks is whole, and goes on afterwards. Linux needs its daemon for it
/// (`hv_vss_daemon`), which calls FIFREEZE and FITHAW (ioctl_fs).
///
/// A guest never stays frozen: a freeze has a time limit, and whatever happens on the way there
/// (no answer in time, the partition saved in the middle of it), the guest is told to go on as soon
/// as it listens again.
///
/// Methods that ask the guest wait for its answer, on any thread but a channel's. They throw {@link
/// GuestRefusalException} when it refuses, does not answer, or is not there.
public final class GuestFreeze extends RequestingService {
  private static final System.Logger LOG = System.getLogger(GuestFreeze.class.getName());

  private static final UUID INTERFACE = UUID.fromString("35fa2e29-ea23-4236-96ae-3a6ebacba440");
  private static final UUID INSTANCE = UUID.fromString("2450ee40-33bf-4fbd-892e-9fb06e9214cf");

  // enum hv_vss_op (Linux, include/uapi/linux/hyperv.h).
  private static final int CHECK_HOT_BACKUP = 2;
  private static final int FREEZE = 5;
  private static final int THAW = 6;

  /// Operation, 7 reserved bytes, backup type, flags, number of disks, and 260 disks of 24 bytes
  /// (OpenVMM, `hyperv_ic_protocol/vss.rs`, Message2); none is named, which means all.
  private static final int FREEZE_SIZE = 6260;

  private static final int SIZE = 40;

  /// How long a guest may take to come to rest: it writes out all it has in memory first.
  private static final long FREEZE_LIMIT_NANOS = 120_000_000_000L;

  /// Longer than any partition lives.
  private static final long NO_LIMIT = 1L << 61;

  private final TimeSource time;
  private final TimeSource.Timer hold;
  private Phase phase = Phase.THAWED;

  public GuestFreeze(TimeSource time) {
    super(INTERFACE, INSTANCE, IntegrationMessage.VOLUME_SHADOW_COPY, time, version(5, 0));
    this.time = time;
    this.hold = time.timer(this::holdOver);
  }

  /// How far the guest is.
  public enum Phase {
    THAWED,
    FREEZING,
    FROZEN,
    THAWING
  }

  /// How far the guest is. Any thread.
  public synchronized Phase phase() {
    return phase;
  }

  /// Brings the guest's file systems to rest.
  ///
  /// @param holdNanos after which it goes on by itself
  public void freeze(long holdNanos) throws GuestRefusalException, InterruptedException {
    synchronized (this) {
      if (phase != Phase.THAWED) {
        throw new GuestRefusalException(GuestRefusalException.BUSY);
      }
    }
    // The flags in the answer tell nothing: Linux never sets them, though it means to (vss_on_msg
    // in
    // drivers/hv/hv_snapshot.c looks for the operation where its daemon has put the status).
    exchange(CHECK_HOT_BACKUP, message(SIZE, CHECK_HOT_BACKUP), LIMIT_NANOS);
    CompletableFuture<byte[]> answer;
    synchronized (this) {
      if (phase != Phase.THAWED) {
        throw new GuestRefusalException(GuestRefusalException.BUSY);
      }
      phase = Phase.FREEZING;
      hold.arm(time.nanoTime() + FREEZE_LIMIT_NANOS + holdNanos);
      answer = ask(FREEZE, message(FREEZE_SIZE, FREEZE), FREEZE_LIMIT_NANOS);
      if (answer.isCompletedExceptionally()) {
        phase = Phase.THAWED;
        hold.cancel();
      }
    }
    await(answer);
    synchronized (this) {
      if (phase != Phase.FROZEN) {
        throw new GuestRefusalException(GuestRefusalException.CANCELLED);
      }
      hold.arm(time.nanoTime() + holdNanos);
    }
  }

  /// Lets the guest go on.
  ///
  /// @return false if it had gone on before: its time was over, or it was not frozen
  public boolean thaw() throws GuestRefusalException, InterruptedException {
    boolean wasFrozen;
    CompletableFuture<byte[]> answer;
    synchronized (this) {
      wasFrozen = phase == Phase.FROZEN;
      if (phase == Phase.THAWED) {
        return false;
      }
      answer = askToThaw(LIMIT_NANOS);
    }
    await(answer);
    return wasFrozen;
  }

  private CompletableFuture<byte[]> askToThaw(long limitNanos) {
    hold.cancel();
    phase = Phase.THAWING;
    return ask(THAW, message(SIZE, THAW), limitNanos);
  }

  private static byte[] message(int size, int operation) {
    var body = new byte[size];
    body[0] = (byte) operation;
    return body;
  }

  private synchronized void holdOver() {
    if (phase == Phase.FROZEN) {
      LOG.log(
          System.Logger.Level.WARNING, "the guest was frozen for as long as it may be: it goes on");
      askToThaw(NO_LIMIT);
    }
  }

  @Override
  void settled(int operation, int status) {
    if (operation == FREEZE && phase == Phase.FREEZING) {
      if (status == 0) {
        phase = Phase.FROZEN;
      } else {
        // One that refuses leaves nothing frozen.
        phase = Phase.THAWED;
        hold.cancel();
      }
    } else if (operation == THAW && phase == Phase.THAWING) {
      phase = Phase.THAWED;
      if (status != 0) {
        LOG.log(
            System.Logger.Level.WARNING,
            "the guest was told to go on after a freeze: {0}",
            GuestRefusalException.words(status));
      }
    }
  }

  @Override
  void overdue(int operation, boolean sent) {
    if (operation == FREEZE && phase == Phase.FREEZING) {
      if (sent) {
        askToThaw(NO_LIMIT);
      } else {
        phase = Phase.THAWED;
        hold.cancel();
      }
    } else if (operation == THAW && !sent) {
      askToThaw(NO_LIMIT);
    }
  }

  @Override
  void begin() {
    super.begin();
    phase = Phase.THAWED;
  }

  @Override
  void resumed() {
    if (phase != Phase.THAWED) {
      // Whoever wanted it is gone.
      askToThaw(NO_LIMIT);
    }
  }

  @Override
  void ended() {
    hold.cancel();
    phase = Phase.THAWED;
    super.ended();
  }

  // --- saved state ---

  /// The saveable state.
  public record State(RequestingState service, Phase phase) {
    /// Of a service whose driver has not spoken.
    public static final State NONE = new State(RequestingState.NONE, Phase.THAWED);
  }

  /// The state. Only while the bus is paused.
  public synchronized State savedState() {
    return new State(requestingState(), phase);
  }

  /// Takes a state over, before the bus does.
  public synchronized void restore(State state) {
    restore(state.service());
    phase = state.phase();
  }
}
