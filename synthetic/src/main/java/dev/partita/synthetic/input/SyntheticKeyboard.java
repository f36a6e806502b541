package dev.partita.synthetic.input;

import dev.partita.synthetic.internal.Line;
import dev.partita.vmbus.Channel;
import dev.partita.vmbus.ChannelHandler;
import dev.partita.vmbus.Offer;
import dev.partita.vmbus.Packet;
import dev.partita.vmbus.VmbusDevice;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayDeque;
import java.util.List;
import java.util.UUID;
import org.jspecify.annotations.Nullable;

/// The keyboard. The driver asks for a version of the protocol, and then gets keystrokes. Methods
/// may be called from any thread.
public final class SyntheticKeyboard implements VmbusDevice {
  private static final UUID INTERFACE = UUID.fromString("f912ad6d-2b17-48ea-bd65-f927a61c7684");
  private static final UUID INSTANCE = UUID.fromString("d34b2567-b9b6-42b9-8778-0a4ec0b955bf");

  /// 1.0, the only version there is.
  private static final int VERSION = 1 << 16;

  // enum synth_kbd_msg_type.
  private static final int PROTOCOL_REQUEST = 1;
  private static final int PROTOCOL_RESPONSE = 2;
  private static final int EVENT = 3;
  private static final int LED_INDICATORS = 4;

  private static final int RESPONSE_SIZE = 8;
  private static final int ACCEPTED = 1;

  // struct synth_kbd_keystroke: type, code, 2 reserved bytes, flags.
  private static final int EVENT_SIZE = 12;
  private static final int BREAK = 2;
  private static final int E0 = 4;
  private static final int E1 = 8;

  /// Keystrokes that wait for a driver that does not read.
  static final int MOST_WAITING = 16_384;

  private static final int LED_MASK = 7;

  private final Offer offer = Offer.plain(INTERFACE, INSTANCE);
  private final ArrayDeque<Keystroke> waiting = new ArrayDeque<>();
  private @Nullable Line line;
  private boolean agreed;
  private int leds;

  @Override
  public Offer offer() {
    return offer;
  }

  /// Whether the guest's driver is there. Keystrokes before that would be lost.
  public synchronized boolean isAvailable() {
    return line != null && agreed;
  }

  /// The lights that the guest wants lit: bit 0 Scroll Lock, bit 1 Num Lock, bit 2 Caps Lock.
  public synchronized int leds() {
    return leds;
  }

  /// Gives keystrokes to the guest, all or none.
  ///
  /// @return false if its driver is not there, or too many wait that it has not taken
  public synchronized boolean send(List<Keystroke> keystrokes) {
    if (!isAvailable() || waiting.size() + keystrokes.size() > MOST_WAITING) {
      return false;
    }
    waiting.addAll(keystrokes);
    sendWaiting();
    return true;
  }

  private void sendWaiting() {
    var current = line;
    if (current == null || !agreed) {
      return;
    }
    for (var next = waiting.peek(); next != null; next = waiting.peek()) {
      if (!current.send(0, event(next))) {
        return;
      }
      waiting.remove();
    }
  }

  private static byte[] event(Keystroke keystroke) {
    int flags =
        (keystroke.released() ? BREAK : 0)
            | switch (keystroke.prefix()) {
              case NONE -> 0;
              case E0 -> E0;
              case E1 -> E1;
            };
    return ByteBuffer.allocate(EVENT_SIZE)
        .order(ByteOrder.LITTLE_ENDIAN)
        .putInt(EVENT)
        .putShort((short) keystroke.code())
        .putShort((short) 0)
        .putInt(flags)
        .array();
  }

  @Override
  public ChannelHandler open(Channel channel) {
    return open(Line.of(channel));
  }

  synchronized ChannelHandler open(Line opened) {
    line = opened;
    if (opened.restored()) {
      sendWaiting();
    } else {
      reset();
    }
    return new Handler(opened);
  }

  private void reset() {
    agreed = false;
    leds = 0;
    waiting.clear();
  }

  private void asked(Line own, int version) {
    int status = version == VERSION ? ACCEPTED : 0;
    // Linux waits for this one alone, though it asks for a completion too.
    own.send(
        0,
        ByteBuffer.allocate(RESPONSE_SIZE)
            .order(ByteOrder.LITTLE_ENDIAN)
            .putInt(PROTOCOL_RESPONSE)
            .putInt(status)
            .array());
    agreed = status != 0;
  }

  private final class Handler implements ChannelHandler {
    private final Line own;

    Handler(Line own) {
      this.own = own;
    }

    @Override
    public void received(Packet packet) {
      var payload = packet.reader();
      if (packet.type() != Packet.IN_BAND || payload.remaining() < 2 * Integer.BYTES) {
        return;
      }
      int type = payload.getInt();
      synchronized (SyntheticKeyboard.this) {
        switch (type) {
          case PROTOCOL_REQUEST -> asked(own, payload.getInt());
          case LED_INDICATORS -> leds = payload.getShort() & LED_MASK;
          default -> {
            // Unknown, as to the real one.
          }
        }
      }
    }

    @Override
    public void roomAvailable() {
      synchronized (SyntheticKeyboard.this) {
        if (line == own) {
          sendWaiting();
        }
      }
    }

    @Override
    public void closed() {
      synchronized (SyntheticKeyboard.this) {
        if (line == own) {
          line = null;
          reset();
        }
      }
    }
  }

  // --- saved state ---

  /// The saveable state.
  ///
  /// @param agreed whether the driver has asked for a version that there is
  /// @param leds as {@link SyntheticKeyboard#leds}
  /// @param waiting keystrokes the driver has not taken yet
  public record State(boolean agreed, int leds, List<Keystroke> waiting) {
    /// Of a keyboard whose driver has not spoken.
    public static final State NONE = new State(false, 0, List.of());

    public State {
      waiting = List.copyOf(waiting);
    }
  }

  /// The state. Only while the bus is paused.
  public synchronized State state() {
    return new State(agreed, leds, List.copyOf(waiting));
  }

  /// Takes a state over, before the bus does.
  ///
  /// @throws IllegalArgumentException if more keystrokes wait than may
  public synchronized void restore(State state) {
    if (state.waiting().size() > MOST_WAITING) {
      throw new IllegalArgumentException(state.waiting().size() + " keystrokes");
    }
    agreed = state.agreed();
    leds = state.leds() & LED_MASK;
    waiting.clear();
    waiting.addAll(state.waiting());
  }
}
