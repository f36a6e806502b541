package dev.partita.synthetic.integration;

import static org.assertj.core.api.Assertions.assertThat;

import com.code_intelligence.jazzer.junit.FuzzTest;
import dev.partita.hypervisor.ManualTimeSource;
import dev.partita.synthetic.integration.GuestFileCopy.Destination;
import dev.partita.synthetic.integration.GuestFreeze.Phase;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;
import java.util.concurrent.CompletableFuture;
import org.junit.jupiter.api.Test;

/// Whatever a guest says, whenever: no exception; one request with it at a time; what is asked
/// comes to an end in its time; and a guest is not left frozen.
class IntegrationServicesFuzzTest {
  private static final long SECOND = 1_000_000_000;

  @FuzzTest
  void fuzz(byte[] input) throws Exception {
    new Conversation(input).run();
  }

  @Test
  void randomConversationsHold() throws Exception {
    var random = new SplittableRandom(0x5EED);
    for (int i = 0; i < 1_500; i++) {
      var input = new byte[random.nextInt(400)];
      random.nextBytes(input);
      fuzz(input);
    }
  }

  /// A guest and a host that say and do what bytes tell them.
  private static final class Conversation {
    private static final int[][] VERSIONS = {{4, 0}, {5, 0}, {1, 1}, {3, 2}, {3, 0}, {4, 0}};

    private final ByteBuffer in;
    private final ManualTimeSource time = new ManualTimeSource(0);
    private final IntegrationService service;
    private final int kind;
    private final List<CompletableFuture<byte[]>> asked = new ArrayList<>();
    private TestDriver driver;

    /// The newest message from the host that was not answered, or any one.
    private ByteBuffer last;

    Conversation(byte[] bytes) throws InterruptedException {
      in = ByteBuffer.wrap(bytes);
      kind = next() % VERSIONS.length;
      service =
          switch (kind) {
            case 0 -> new KeyValueExchange(time, () -> List.of(new KeyValue("HostName", "here")));
            case 1 -> new GuestFreeze(time);
            case 2 -> new GuestFileCopy(time);
            case 3 -> new GuestShutdown(time);
            case 4 -> new Heartbeat(time);
            default -> new TimeSynchronization(time, time::nanoTime);
          };
      driver = new TestDriver(service, false);
      last = driver.take();
      if ((next() & 3) != 0) {
        negotiate();
      }
    }

    private int next() {
      return in.hasRemaining() ? in.get() & 0xFF : 0;
    }

    private void negotiate() {
      driver.answer(
          last,
          0,
          answer ->
              answer
                  .putInt(28, 0x1_0001)
                  .putInt(36, 3)
                  .putShort(40, (short) VERSIONS[kind][0])
                  .putShort(42, (short) VERSIONS[kind][1]));
    }

    void run() throws InterruptedException {
      while (in.hasRemaining()) {
        step();
        while (driver.line.pending() > 0) {
          last = driver.take();
        }
      }
      driver.line.room = Integer.MAX_VALUE;
      driver.handler.roomAvailable();
      time.advance(300 * SECOND);
      asked.forEach(each -> assertThat(each).as("in its time").isDone());
      driver.handler.closed();
      if (service instanceof GuestFreeze freeze) {
        assertThat(freeze.phase()).isEqualTo(Phase.THAWED);
      }
      time.advance(300 * SECOND);
    }

    private void step() {
      switch (next() % 10) {
        case 0 -> driver.answer(last, 0);
        case 1 -> driver.answer(last, GuestRefusalException.FAILED);
        case 2 -> changed();
        case 3 -> any();
        case 4 -> time.advance(next() * SECOND);
        case 5, 6 -> ask();
        case 7 -> {
          driver.line.room = next() & 3;
          driver.handler.roomAvailable();
        }
        case 8 -> reopen();
        default -> {
          driver.handler.rest();
          negotiate();
        }
      }
    }

    /// An answer with some bytes that are not what they should be, and a length that may not be.
    private void changed() {
      var bytes = last.array().clone();
      bytes[25] = 5;
      for (int i = next() & 7; i > 0; i--) {
        int at = next() | (next() & 0x1F) << 8;
        byte value = (byte) next();
        bytes[at % bytes.length] = value;
      }
      int length = (next() & 1) == 0 ? bytes.length : (next() | next() << 8) % bytes.length;
      driver.give(java.util.Arrays.copyOf(bytes, length));
    }

    private void any() {
      var bytes = new byte[next() & 0x3F];
      for (int i = 0; i < bytes.length; i++) {
        bytes[i] = (byte) next();
      }
      driver.give(bytes);
    }

    private void ask() {
      if (service instanceof RequestingService requesting) {
        synchronized (requesting) {
          asked.add(requesting.ask(next() % 7, new byte[40], (1 + next()) * SECOND));
        }
      }
    }

    /// The driver goes and comes, or the partition is saved and goes on elsewhere.
    private void reopen() {
      boolean restored = (next() & 1) == 0;
      if (!restored) {
        driver.handler.closed();
      }
      int room = driver.line.room;
      driver = new TestDriver(service, restored);
      driver.line.room = Math.max(1, room);
    }
  }

  /// Paths come from the command line.
  @Test
  void randomPathsAreRefusedInWords() {
    var random = new SplittableRandom(0x5EED);
    for (int i = 0; i < 5_000; i++) {
      var path = new StringBuilder();
      for (int j = random.nextInt(300); j >= 0; j--) {
        path.append("/\\:Ca\0\u20ac.".charAt(random.nextInt(8)));
      }
      try {
        var destination = Destination.of(path.toString(), false, false);
        assertThat(destination.folder() + destination.name()).isEqualTo(path.toString());
      } catch (IllegalArgumentException e) {
        assertThat(e).hasMessageContaining("");
      }
    }
  }
}
