package dev.partita.worker;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

@Timeout(120)
class ConsoleTest {
  private static final long LONG = TimeUnit.SECONDS.toNanos(100);

  private final Console console = new Console();

  @AfterEach
  void close() {
    console.close();
  }

  /// Keeps what it gets; takes nothing before it is let.
  private static final class Recorder implements Console.Holder {
    final ByteArrayOutputStream taken = new ByteArrayOutputStream();
    final CompletableFuture<@Nullable IOException> released = new CompletableFuture<>();
    final Semaphore permits;
    volatile boolean broken;

    Recorder(int permits) {
      this.permits = new Semaphore(permits);
    }

    @Override
    public void write(byte[] bytes, int length) throws IOException {
      permits.acquireUninterruptibly();
      if (broken) {
        throw new IOException("gone");
      }
      synchronized (taken) {
        taken.write(bytes, 0, length);
      }
    }

    @Override
    public void released(@Nullable IOException failure) {
      released.complete(failure);
    }

    String text() {
      synchronized (taken) {
        return taken.toString(StandardCharsets.ISO_8859_1);
      }
    }
  }

  private void transmit(String text) {
    text.chars().forEach(console::transmit);
  }

  @Test
  void outputReachesTheHolderInOrder() {
    var holder = new Recorder(Integer.MAX_VALUE);
    console.attach(holder);
    var text = "0123456789".repeat(20_000);
    transmit(text);
    console.drain(LONG);
    assertThat(holder.text()).isEqualTo(text);
  }

  @Test
  void withoutAHolderTheNewestOutputIsKept() {
    transmit("x".repeat(Console.OUTPUT_CAPACITY));
    transmit("end");
    var holder = new Recorder(Integer.MAX_VALUE);
    console.attach(holder);
    console.drain(LONG);
    assertThat(holder.text()).hasSize(Console.OUTPUT_CAPACITY).startsWith("xxx").endsWith("xend");
  }

  @Test
  void aSlowHolderStopsTheGuestAndLosesNothing() throws Exception {
    var holder = new Recorder(0);
    console.attach(holder);
    var text = "abcdefgh".repeat(Console.OUTPUT_CAPACITY / 4);
    var guest = Thread.ofPlatform().start(() -> transmit(text));
    while (guest.getState() != Thread.State.WAITING) {
      Thread.onSpinWait();
    }
    holder.permits.release(Integer.MAX_VALUE);
    guest.join();
    console.drain(LONG);
    assertThat(holder.text()).isEqualTo(text);
  }

  @Test
  void aStoppedGuestIsNotHeldUpByASlowHolder() throws Exception {
    var holder = new Recorder(0);
    console.attach(holder);
    var guest = Thread.ofPlatform().start(() -> transmit("x".repeat(3 * Console.OUTPUT_CAPACITY)));
    console.interruptGuest(true);
    guest.join();
    holder.permits.release(Integer.MAX_VALUE);
  }

  @Test
  void aNewHolderTakesTheLine() throws Exception {
    var first = new Recorder(Integer.MAX_VALUE);
    var second = new Recorder(Integer.MAX_VALUE);
    console.attach(first);
    console.attach(second);
    assertThat(first.released.get()).isNull();
    assertThat(console.holds(first)).isFalse();
    transmit("hello");
    console.drain(LONG);
    assertThat(second.text()).isEqualTo("hello");
    assertThat(first.text()).isEmpty();
    console.detach(first); // no longer its own to give up
    assertThat(console.holds(second)).isTrue();
  }

  @Test
  void aHolderThatFailsLosesTheLine() throws Exception {
    var holder = new Recorder(Integer.MAX_VALUE);
    holder.broken = true;
    console.attach(holder);
    transmit("hello");
    assertThat(holder.released.get()).hasMessage("gone");
    assertThat(console.holds(holder)).isFalse();
  }

  @Test
  void inputIsReceivedInOrder() throws Exception {
    console.send(new byte[] {1, -1, 3}, 3);
    var bytes = new byte[2];
    assertThat(console.receive(bytes)).isEqualTo(2);
    assertThat(bytes).containsExactly(1, -1);
    assertThat(console.receive(bytes)).isEqualTo(1);
    assertThat(bytes[0]).isEqualTo((byte) 3);
  }

  @Test
  void inputGivenBackIsReceivedFirst() throws Exception {
    console.send(new byte[] {5}, 1);
    console.unread(new byte[] {3, 4});
    console.unread(new byte[] {1, 2});
    var bytes = new byte[3];
    assertThat(console.receive(bytes)).isEqualTo(3);
    assertThat(bytes).containsExactly(1, 2, 3);
    assertThat(console.receive(bytes)).isEqualTo(1);
    assertThat(bytes[0]).isEqualTo((byte) 4);
    assertThat(console.receive(bytes)).isEqualTo(1);
    assertThat(bytes[0]).isEqualTo((byte) 5);
  }

  @Test
  void inputWaitsForTheGuestAndIsNeverLost() throws Exception {
    var much = new byte[3 * Console.INPUT_CAPACITY];
    for (int i = 0; i < much.length; i++) {
      much[i] = (byte) (i * 7);
    }
    var sender =
        Thread.ofPlatform()
            .start(
                () -> {
                  try {
                    console.send(much, much.length);
                  } catch (InterruptedException e) {
                    throw new IllegalStateException(e);
                  }
                });
    var received = new ByteArrayOutputStream();
    var bytes = new byte[100];
    while (received.size() < much.length) {
      received.write(bytes, 0, console.receive(bytes));
    }
    sender.join();
    assertThat(received.toByteArray()).isEqualTo(much);
  }

  @Test
  void closingLetsEveryoneGo() throws Exception {
    var holder = new Recorder(Integer.MAX_VALUE);
    console.attach(holder);
    var sent = new CompletableFuture<Boolean>();
    Thread.ofPlatform()
        .start(
            () -> {
              try {
                sent.complete(
                    console.send(new byte[3 * Console.INPUT_CAPACITY], 3 * Console.INPUT_CAPACITY));
              } catch (InterruptedException e) {
                sent.completeExceptionally(e);
              }
            });
    console.close();
    assertThat(sent.get()).isFalse();
    assertThat(holder.released.get()).isNull();
    var late = new Recorder(0);
    console.attach(late);
    assertThat(late.released.get()).isNull();
  }
}
