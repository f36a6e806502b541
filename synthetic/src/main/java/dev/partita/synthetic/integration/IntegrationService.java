package dev.partita.synthetic.integration;

import dev.partita.hypervisor.TimeSource;
import dev.partita.synthetic.internal.Line;
import dev.partita.vmbus.Channel;
import dev.partita.vmbus.ChannelHandler;
import dev.partita.vmbus.Offer;
import dev.partita.vmbus.Packet;
import dev.partita.vmbus.VmbusDevice;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.UUID;
import org.jspecify.annotations.Nullable;

/// What all integration services have in common: one channel, and at its beginning an agreement on
/// versions. The host tells which it has, and the guest chooses.
///
/// State is guarded by the object's monitor; {@link #ready}, {@link #received}, {@link #tick} and
/// the like are called with it held.
abstract class IntegrationService implements VmbusDevice {
  private static final System.Logger LOG = System.getLogger(IntegrationService.class.getName());

  // Framework versions 1.0 and 3.0.
  private static final int[] FRAMEWORKS = {1 << 16, 3 << 16};

  private static final int NEGOTIATION_HEADER_SIZE = 8;

  /// No transaction's number.
  static final int NOT_SENT = -1;

  private final Offer offer;
  private final int type;
  private final int[] versions;
  private final TimeSource.Timer timer;
  private @Nullable Line line;
  private int framework;
  private int version;
  private int nextTransaction;

  /// @param instance of its one device in a partition
  /// @param type of its messages
  /// @param versions it has, ascending, major in the upper 16 bits
  IntegrationService(
      UUID interfaceId, UUID instanceId, int type, TimeSource time, int... versions) {
    this.offer = Offer.pipe(interfaceId, instanceId);
    this.type = type;
    this.versions = versions.clone();
    this.timer = time.timer(this::timerFired);
  }

  static int version(int major, int minor) {
    return major << 16 | minor;
  }

  @Override
  public final Offer offer() {
    return offer;
  }

  @Override
  public final ChannelHandler open(Channel channel) {
    return open(Line.of(channel));
  }

  final ChannelHandler open(Line opened) {
    var handler = new Handler(opened);
    synchronized (this) {
      line = opened;
      if (opened.restored() && version != 0) {
        resumed();
      } else {
        framework = 0;
        version = 0;
        begin();
        negotiate();
      }
    }
    return handler;
  }

  private void negotiate() {
    var body =
        ByteBuffer.allocate(NEGOTIATION_HEADER_SIZE + 4 * (FRAMEWORKS.length + versions.length))
            .order(ByteOrder.LITTLE_ENDIAN);
    body.putShort((short) FRAMEWORKS.length).putShort((short) versions.length).putInt(0);
    for (int each : FRAMEWORKS) {
      IntegrationMessage.putVersion(body, each);
    }
    for (int each : versions) {
      IntegrationMessage.putVersion(body, each);
    }
    send(IntegrationMessage.NEGOTIATE, FRAMEWORKS[0], versions[0], body.array());
  }

  private void negotiated(IntegrationMessage answer) {
    var body = ByteBuffer.wrap(answer.body()).order(ByteOrder.LITTLE_ENDIAN);
    if (version != 0
        || body.remaining() < NEGOTIATION_HEADER_SIZE + 8
        || body.getShort() != 1
        || body.getShort() != 1) {
      LOG.log(System.Logger.Level.DEBUG, "no common version of integration service {0}", type);
      return;
    }
    body.getInt();
    int chosenFramework = IntegrationMessage.getVersion(body);
    int chosen = IntegrationMessage.getVersion(body);
    if (contains(FRAMEWORKS, chosenFramework) && contains(versions, chosen)) {
      framework = chosenFramework;
      version = chosen;
      ready();
    }
  }

  private static boolean contains(int[] all, int wanted) {
    for (int each : all) {
      if (each == wanted) {
        return true;
      }
    }
    return false;
  }

  /// @return the transaction's number, or {@link #NOT_SENT}
  private int send(int messageType, int frame, int message, byte[] body) {
    var current = line;
    if (current == null) {
      return NOT_SENT;
    }
    int transaction = nextTransaction;
    boolean sent;
    try {
      sent =
          current.send(
              transaction,
              new IntegrationMessage(
                      frame,
                      messageType,
                      message,
                      0,
                      transaction,
                      IntegrationMessage.TRANSACTION | IntegrationMessage.REQUEST,
                      body)
                  .bytes());
    } catch (IllegalArgumentException e) {
      // The driver chose its ring's size.
      LOG.log(
          System.Logger.Level.WARNING,
          "the guest's driver of integration service {0} cannot be asked: {1}",
          type,
          e.getMessage());
      return NOT_SENT;
    }
    if (!sent) {
      return NOT_SENT;
    }
    nextTransaction = nextTransaction + 1 & 0xFF;
    return transaction;
  }

  /// Sends a request of the service.
  ///
  /// @return false if the driver is not ready, or does not read what came before
  final boolean request(byte[] body) {
    return transact(body) != NOT_SENT;
  }

  /// Sends a request of the service.
  ///
  /// @return the transaction's number, 0 to 255, which the answer has too; or {@link #NOT_SENT} if
  ///     the driver is not ready, or does not read what came before
  final int transact(byte[] body) {
    return version == 0 ? NOT_SENT : send(type, framework, version, body);
  }

  /// The version agreed on, or 0.
  final int agreedVersion() {
    return version;
  }

  /// Calls {@link #tick} later, on the channel's thread, if the channel is still open then.
  ///
  /// @param nanos from now
  final void tickIn(TimeSource time, long nanos) {
    timer.arm(time.nanoTime() + nanos);
  }

  private void timerFired() {
    Line current;
    synchronized (this) {
      current = line;
    }
    if (current != null) {
      current.execute(
          () -> {
            synchronized (this) {
              if (line == current && version != 0) {
                tick();
              }
            }
          });
    }
  }

  /// A channel has opened; nothing is agreed on yet.
  void begin() {}

  /// Versions are agreed on.
  void ready() {}

  /// The partition was restored with versions agreed on.
  void resumed() {
    ready();
  }

  /// A time that was asked for has come.
  void tick() {}

  /// The guest has answered a request.
  void received(IntegrationMessage answer) {}

  /// There may be room again for a request that was not sent.
  void roomAvailable() {}

  /// The bus goes on after a pause.
  void wokeUp() {}

  /// The channel is closed.
  void ended() {}

  private final class Handler implements ChannelHandler {
    private final Line own;

    Handler(Line own) {
      this.own = own;
    }

    @Override
    public void received(Packet packet) {
      var message =
          packet.type() == Packet.IN_BAND ? IntegrationMessage.parse(packet.reader()) : null;
      if (message == null || (message.flags() & IntegrationMessage.RESPONSE) == 0) {
        return;
      }
      synchronized (IntegrationService.this) {
        if (message.type() == IntegrationMessage.NEGOTIATE) {
          negotiated(message);
        } else if (message.type() == type && version != 0) {
          IntegrationService.this.received(message);
        }
      }
    }

    @Override
    public void roomAvailable() {
      synchronized (IntegrationService.this) {
        if (line == own && version != 0) {
          IntegrationService.this.roomAvailable();
        }
      }
    }

    @Override
    public void rest() {
      // Runs when the bus goes on.
      own.execute(
          () -> {
            synchronized (IntegrationService.this) {
              if (line == own && version != 0) {
                wokeUp();
              }
            }
          });
    }

    @Override
    public void closed() {
      synchronized (IntegrationService.this) {
        if (line == own) {
          timer.cancel();
          line = null;
          framework = 0;
          version = 0;
          ended();
        }
      }
    }
  }

  // --- saved state ---

  /// The service's own numbers in its state.
  long sequence() {
    return 0;
  }

  long answered() {
    return 0;
  }

  void restoreNumbers(long sequence, long answered) {}

  /// The state. Only while the bus is paused.
  public final synchronized IntegrationState state() {
    return new IntegrationState(framework, version, nextTransaction, sequence(), answered());
  }

  /// Takes a state over, before the bus does.
  public final synchronized void restore(IntegrationState state) {
    framework = state.framework();
    version = state.version();
    nextTransaction = state.nextTransaction() & 0xFF;
    restoreNumbers(state.sequence(), state.answered());
  }
}
