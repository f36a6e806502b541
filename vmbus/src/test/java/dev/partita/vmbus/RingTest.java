package dev.partita.vmbus;

import static java.util.Objects.requireNonNull;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.partita.hypervisor.GuestMemory;
import java.util.Random;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicReference;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

@Timeout(120)
class RingTest {
  private static final byte[] NOTHING = {};

  private final GuestMemory memory = new GuestMemory(1 << 20);

  @AfterEach
  void close() {
    memory.close();
  }

  /// Pages that do not lie one after another.
  private RingMemory pages(int count) {
    var pages = new long[count];
    for (int i = 0; i < count; i++) {
      pages[i] = 100 - 7L * i;
    }
    return new RingMemory(memory, pages);
  }

  private static byte[] payload(int length, long seed) {
    var bytes = new byte[length];
    new Random(seed).nextBytes(bytes);
    return bytes;
  }

  @Test
  void packetsOfTheGuestArriveAcrossAllPages() throws Exception {
    var guest = new GuestRing(pages(4));
    var host = new IncomingRing(pages(4));
    for (int i = 0; i < 2000; i++) {
      var payload = payload(8 * (i * 37 % 400), i);
      assertThat(guest.write(6, i & 1, i, payload)).isEqualTo(OutgoingRing.Written.SIGNAL);
      var read = host.read();
      if (read == null) {
        throw new AssertionError("nothing there");
      }
      assertThat(read.packet().type()).isEqualTo(6);
      assertThat(read.packet().wantsCompletion()).isEqualTo((i & 1) == 1);
      assertThat(read.packet().transactionId()).isEqualTo(i);
      assertThat(read.packet().payload()).isEqualTo(payload);
      assertThat(host.read()).isNull();
    }
  }

  @Test
  void packetsOfTheHostArriveAcrossAllPages() throws Exception {
    var guest = new GuestRing(pages(3));
    var host = new OutgoingRing(pages(3));
    for (int i = 0; i < 2000; i++) {
      var payload = payload(i * 37 % 3000, i);
      assertThat(host.write(6, 1, i, NOTHING, payload)).isEqualTo(OutgoingRing.Written.SIGNAL);
      var read = requireNonNull(guest.read());
      assertThat(read.type()).isEqualTo(6);
      assertThat(read.flags()).isEqualTo(1);
      assertThat(read.transactionId()).isEqualTo(i);
      assertThat(read.rest()).hasSize(payload.length + 7 & ~7).startsWith(payload);
      for (int j = payload.length; j < read.rest().length; j++) {
        assertThat(read.rest()[j]).as("padding").isZero();
      }
    }
  }

  @Test
  void extensionLiesBeforeThePayload() throws Exception {
    var guest = new GuestRing(pages(2));
    var host = new OutgoingRing(pages(2));
    host.write(7, 0, 5, payload(16, 1), payload(8, 2));
    assertThat(pages(2).readLong(0) >>> 16 & 0xFFFF).isEqualTo(4);
    assertThat(requireNonNull(guest.read()).rest())
        .startsWith(payload(16, 1))
        .endsWith(payload(8, 2));
  }

  @Test
  void fullRingIsRefusedAndRoomIsAskedFor() throws Exception {
    var guest = new GuestRing(pages(2));
    var host = new OutgoingRing(pages(2));
    int written = 0;
    while (host.write(6, 0, written, NOTHING, payload(104, written)) != OutgoingRing.Written.FULL) {
      written++;
    }
    // 31 packets of 128 bytes leave 128, and a ring is never completely full.
    assertThat(written).isEqualTo(31);
    assertThat(pages(2).headerAcquire(RingMemory.PENDING_SEND_SIZE)).isEqualTo(128);
    assertThat(requireNonNull(guest.read()).signal()).as("more room than wanted").isTrue();
    assertThat(requireNonNull(guest.read()).signal()).as("signalled already").isFalse();
    assertThat(host.write(6, 0, 0, NOTHING, payload(104, 1)))
        .isEqualTo(OutgoingRing.Written.QUIETLY);
    assertThat(pages(2).headerAcquire(RingMemory.PENDING_SEND_SIZE)).isZero();
    assertThatThrownBy(() -> host.write(6, 0, 0, NOTHING, new byte[4096]))
        .isInstanceOf(IllegalArgumentException.class);
  }

  @Test
  void guestThatWaitsForRoomIsSignalledOnce() throws Exception {
    var guest = new GuestRing(pages(2));
    var host = new IncomingRing(pages(2));
    while (guest.write(6, 0, 1, payload(104, 1)) != OutgoingRing.Written.FULL) {}
    assertThat(requireNonNull(host.read()).signal()).isTrue();
    assertThat(requireNonNull(host.read()).signal()).isFalse();
    guest.write(6, 0, 1, payload(104, 1));
    assertThat(requireNonNull(host.read()).signal()).as("it does not wait any more").isFalse();
  }

  @Test
  void maskedRingIsNotSignalled() throws Exception {
    var guest = new GuestRing(pages(2));
    var host = new IncomingRing(pages(2));
    host.disableInterrupts();
    assertThat(guest.write(6, 0, 1, NOTHING)).isEqualTo(OutgoingRing.Written.QUIETLY);
    assertThat(host.enableInterrupts()).as("there is a packet").isTrue();
    host.read();
    assertThat(host.enableInterrupts()).isFalse();
    assertThat(guest.write(6, 0, 1, NOTHING)).isEqualTo(OutgoingRing.Written.SIGNAL);
    assertThat(guest.write(6, 0, 1, NOTHING)).isEqualTo(OutgoingRing.Written.QUIETLY);
  }

  @Test
  void ringGoesOnWhereAnotherStopped() throws Exception {
    var guest = new GuestRing(pages(2));
    guest.write(6, 0, 1, NOTHING);
    guest.write(6, 0, 2, NOTHING);
    new IncomingRing(pages(2)).read();
    assertThat(requireNonNull(new IncomingRing(pages(2)).read()).packet().transactionId())
        .isEqualTo(2);
  }

  /// Neither what a guest writes before nor while it is read can do more than stop the channel.
  @Test
  void anyContentsArePacketsOrMalformed() {
    var random = new Random(5);
    int packets = 0;
    int malformed = 0;
    for (int run = 0; run < 20_000; run++) {
      int count = 2 + random.nextInt(3);
      var ring = pages(count);
      var guest = new GuestRing(ring);
      for (int i = random.nextInt(5); i > 0; i--) {
        guest.write(random.nextInt(12), 1, i, payload(random.nextInt(300), i));
      }
      for (int i = random.nextInt(3); i > 0; i--) {
        int position = random.nextInt(64) * 8;
        ring.writeLong(position, ring.readLong(position) ^ 1L << random.nextInt(64));
      }
      if (random.nextInt(4) == 0) {
        int field = random.nextInt(4) * 4;
        ring.setHeaderRelease(
            field, random.nextBoolean() ? random.nextInt() : random.nextInt(1024) * 8);
      }
      try {
        var host = new IncomingRing(ring);
        for (int i = 0; i < 1000 && host.read() != null; i++) {
          packets++;
        }
        host.enableInterrupts();
        var outgoing = new OutgoingRing(ring);
        outgoing.write(6, 0, 1, NOTHING, payload(random.nextInt(200), 1));
      } catch (MalformedRingException e) {
        malformed++;
      }
    }
    assertThat(packets).isGreaterThan(10_000);
    assertThat(malformed).isGreaterThan(1_000);
  }

  @Test
  void guestThatWritesMeanwhileBreaksOnlyItsRing() throws Exception {
    var stop = new AtomicBoolean();
    var pages = new long[] {100, 93, 86};
    var hostile =
        Thread.ofPlatform()
            .start(
                () -> {
                  var random = new Random(3);
                  int[] fields = {0, 4, 8, 12, 64};
                  while (!stop.get()) {
                    memory.writeInt(
                        pages[0] * 4096 + fields[random.nextInt(5)],
                        random.nextInt(16) == 0 ? random.nextInt() : 8 * random.nextInt(1024));
                    memory.writeLong(
                        pages[1 + random.nextInt(2)] * 4096 + 8L * random.nextInt(512),
                        6 | 2 << 16 | (long) random.nextInt(64) << 32);
                  }
                });
    int packets = 0;
    int malformed = 0;
    try {
      for (int i = 0; i < 50_000; i++) {
        try {
          var in = new IncomingRing(new RingMemory(memory, pages));
          var out = new OutgoingRing(new RingMemory(memory, pages));
          for (int j = 0; j < 8; j++) {
            packets += in.read() == null ? 0 : 1;
            in.enableInterrupts();
            out.write(6, 0, j, NOTHING, new byte[j * 100]);
          }
        } catch (MalformedRingException e) {
          malformed++;
        }
      }
    } finally {
      stop.set(true);
      hostile.join();
    }
    assertThat(packets).isPositive();
    assertThat(malformed).isPositive();
    // All else is as it was: nothing was written outside of the ring.
    for (long page = 0; page < memory.size() / 4096; page++) {
      if (page != 100 && page != 93 && page != 86) {
        assertThat(memory.read(page * 4096, 4096)).isEqualTo(new byte[4096]);
      }
    }
  }

  @Test
  void noPacketAndNoWakeUpIsLostFromGuestToHost() throws Exception {
    var guest = new GuestRing(pages(2));
    var host = new IncomingRing(pages(2));
    int count = 300_000;
    var toHost = new Semaphore(0);
    var toGuest = new Semaphore(0);
    var failure = new AtomicReference<Throwable>();
    var producer =
        Thread.ofPlatform()
            .start(
                () -> {
                  try {
                    for (int i = 0; i < count; ) {
                      switch (guest.write(6, 0, i, payload(i))) {
                        case SIGNAL -> {
                          toHost.release();
                          i++;
                        }
                        case QUIETLY -> i++;
                        case FULL -> await(toGuest);
                      }
                    }
                  } catch (Throwable e) {
                    failure.set(e);
                  }
                });
    for (int i = 0; i < count; ) {
      host.disableInterrupts();
      var read = host.read();
      if (read == null) {
        if (!host.enableInterrupts()) {
          await(toHost);
        }
        continue;
      }
      if (read.packet().transactionId() != i || read.packet().reader().getLong() != i) {
        throw new AssertionError("packet " + read.packet().transactionId() + ", not " + i);
      }
      i++;
      if (read.signal()) {
        toGuest.release();
      }
    }
    producer.join();
    assertThat(failure.get()).isNull();
  }

  @Test
  void noPacketAndNoWakeUpIsLostFromHostToGuest() throws Exception {
    var guest = new GuestRing(pages(2));
    var host = new OutgoingRing(pages(2));
    int count = 300_000;
    var toHost = new Semaphore(0);
    var toGuest = new Semaphore(0);
    var failure = new AtomicReference<Throwable>();
    var producer =
        Thread.ofPlatform()
            .start(
                () -> {
                  try {
                    for (int i = 0; i < count; ) {
                      switch (host.write(6, 0, i, NOTHING, payload(i))) {
                        case SIGNAL -> {
                          toGuest.release();
                          i++;
                        }
                        case QUIETLY -> i++;
                        case FULL -> await(toHost);
                      }
                    }
                  } catch (Throwable e) {
                    failure.set(e);
                  }
                });
    for (int i = 0; i < count; ) {
      guest.disableInterrupts();
      var read = guest.read();
      if (read == null) {
        if (!guest.enableInterrupts()) {
          await(toGuest);
        }
        continue;
      }
      if (read.transactionId() != i) {
        throw new AssertionError("packet " + read.transactionId() + ", not " + i);
      }
      i++;
      if (read.signal()) {
        toHost.release();
      }
    }
    producer.join();
    assertThat(failure.get()).isNull();
  }

  private static byte[] payload(int number) {
    var bytes = new byte[8 + number % 13 * 8];
    bytes[0] = (byte) number;
    bytes[1] = (byte) (number >> 8);
    bytes[2] = (byte) (number >> 16);
    return bytes;
  }

  private static void await(Semaphore signal) throws InterruptedException {
    if (!signal.tryAcquire(60, TimeUnit.SECONDS)) {
      throw new AssertionError("a wake-up was lost");
    }
    signal.drainPermits();
  }
}
