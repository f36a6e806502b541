package dev.partita.vmbus;

import static dev.partita.vmbus.GuestMessages.*;
import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.UUID;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/// The whole path: hypercalls, state machine, channel threads, rings, event flags.
@Timeout(60)
class VmbusTest {
  private final GuestMachine guest = new GuestMachine();
  private final Vmbus bus = Vmbus.connect(guest.memory, guest.enlightenment.synic());
  private final Echo device = new Echo();

  @AfterEach
  void close() {
    bus.close();
    guest.close();
  }

  /// Sends every packet back as its completion.
  private static final class Echo implements VmbusDevice {
    final List<Boolean> openedRestored = new ArrayList<>();
    int closed;
    @Nullable Channel channel;

    @Override
    public Offer offer() {
      return Offer.plain(new UUID(1, 2), new UUID(3, 4));
    }

    @Override
    public synchronized ChannelHandler open(Channel opened) {
      openedRestored.add(opened.restored());
      channel = opened;
      return new ChannelHandler() {
        private final List<Packet> waiting = new ArrayList<>();

        @Override
        public void received(Packet packet) {
          waiting.add(packet);
          roomAvailable();
        }

        @Override
        public void roomAvailable() {
          while (!waiting.isEmpty()
              && opened.complete(
                  waiting.getFirst().transactionId(), waiting.getFirst().payload())) {
            waiting.removeFirst();
          }
        }

        @Override
        public void closed() {
          synchronized (Echo.this) {
            closed++;
          }
        }
      };
    }
  }

  private GuestRing out = new GuestRing(guest.ring(16, 17));
  private GuestRing in = new GuestRing(guest.ring(18, 19));

  private void openFirst() throws InterruptedException {
    assertThat(guest.ask(gpadl(1, 7, 16, 17, 18, 19))).containsExactly(10, 1, 7, 0);
    out = new GuestRing(guest.ring(16, 17));
    in = new GuestRing(guest.ring(18, 19));
    assertThat(guest.ask(open(1, 1, 7, 0, 2))).containsExactly(6, 1, 1, 0);
  }

  private void connect() throws InterruptedException {
    assertThat(guest.ask(initiateContact(5, 3, 0, 2))).containsExactly(15, 1, 4);
    assertThat(guest.ask(requestOffers())[0]).isEqualTo(1);
    assertThat(guest.answer()).containsExactly(4);
  }

  private void exchange(int count) throws InterruptedException {
    int written = 0;
    int read = 0;
    while (read < count) {
      if (written < count && written - read < 2000) {
        var result = out.write(6, 1, written, new byte[8 * (written % 30)]);
        if (result != OutgoingRing.Written.FULL) {
          written++;
        }
        if (result == OutgoingRing.Written.SIGNAL) {
          assertThat(guest.signal(1)).isZero();
        }
        if (result != OutgoingRing.Written.FULL) {
          continue;
        }
      }
      in.disableInterrupts();
      var answer = in.read();
      if (answer == null) {
        if (!in.enableInterrupts()) {
          assertThat(guest.interrupts.tryAcquire(30, TimeUnit.SECONDS)).as("interrupt").isTrue();
          guest.takeFlag(1);
        }
        continue;
      }
      assertThat(answer.type()).isEqualTo(11);
      assertThat(answer.transactionId()).isEqualTo(read);
      assertThat(answer.rest()).hasSize(8 * (read % 30));
      read++;
      if (answer.signal()) {
        guest.signal(1);
      }
    }
  }

  @Test
  void deviceAndGuestConverse() throws Exception {
    bus.attach(device);
    connect();
    openFirst();
    exchange(20_000);
  }

  @Test
  void guestReopensAndMakesNewContact() throws Exception {
    bus.attach(device);
    for (int i = 0; i < 20; i++) {
      connect();
      openFirst();
      exchange(100);
      if (i % 2 == 0) {
        guest.post(GuestMessages.close(1));
        assertThat(guest.ask(tearDown(1, 7))).containsExactly(12, 7);
        assertThat(device.closed).isEqualTo(i + 1);
        assertThat(guest.signal(1)).as("connection is gone").isEqualTo(0x12);
      }
      if (i % 3 == 0) {
        assertThat(guest.ask(unload())).containsExactly(17);
        assertThat(device.closed).isEqualTo(i + 1);
      }
    }
  }

  @Test
  void devicePulledOutIsRescinded() throws Exception {
    bus.attach(device);
    connect();
    openFirst();
    exchange(10);
    bus.detach(device);
    assertThat(guest.answer()).containsExactly(2, 1);
    guest.post(released(1));
    bus.attach(device);
    assertThat(guest.answer()[0]).isEqualTo(1);
  }

  @Test
  void subChannelsComeAndGoWithTheFirst() throws Exception {
    bus.attach(device);
    connect();
    openFirst();
    exchange(1);
    var channel = device.channel;
    if (channel == null) {
      throw new AssertionError("not open");
    }
    channel.offerSubChannels(2);
    channel.offerSubChannels(2);
    assertThat(guest.answer()[45]).isEqualTo(2);
    assertThat(guest.answer()[45]).isEqualTo(3);
    guest.post(GuestMessages.close(1));
    assertThat(guest.answer()).containsExactly(2, 2);
    assertThat(guest.answer()).containsExactly(2, 3);
    assertThat(guest.fetch()).isNull();
  }

  @Test
  void guestThatFetchesNoAnswersIsToldToWait() throws Exception {
    bus.attach(device);
    connect();
    long status = 0;
    int sent = 0;
    while (status == 0 && sent < 1000) {
      status = guest.post(gpadl(9, sent++, 1));
    }
    assertThat(status).isEqualTo(0x13);
    assertThat(sent).isLessThan(100);
    for (int i = 0; i < sent - 1; i++) {
      assertThat(guest.answer()[2]).isEqualTo(i);
    }
    assertThat(guest.ask(gpadl(1, 7, 16))).containsExactly(10, 1, 7, 0);
    while (guest.post(gpadl(9, 1, 1)) == 0) {}
    assertThat(guest.post(initiateContact(5, 3, 0, 2))).as("a new kernel is heard").isZero();
  }

  @Test
  void brokenRingStopsItsChannelAlone() throws Exception {
    bus.attach(device);
    connect();
    openFirst();
    exchange(10);
    guest.memory.writeInt(16 * 4096, 0x12345);
    guest.signal(1);
    guest.post(GuestMessages.close(1));
    assertThat(guest.ask(tearDown(1, 7))).containsExactly(12, 7);
    openFirst();
    exchange(10);
  }

  @Test
  void conversationGoesOnOnAnotherBus() throws Exception {
    bus.attach(device);
    connect();
    openFirst();
    exchange(50);
    in.enableInterrupts();
    bus.pause();
    // One that the old bus has not seen.
    out.write(6, 1, 0, new byte[0]);
    var state = bus.state();
    var synic = guest.enlightenment.state();
    try (var other = new GuestMachine()) {
      other.memory.write(0, guest.memory.read(0, (int) guest.memory.size()));
      other.enlightenment.restore(synic);
      var next = new Echo();
      try (var otherBus = Vmbus.connect(other.memory, other.enlightenment.synic())) {
        otherBus.attach(next);
        otherBus.restore(state);
        assertThat(next.openedRestored).isEmpty();
        // One of before may be left.
        other.takeFlag(1);
        otherBus.resume();
        while (!other.takeFlag(1)) {
          assertThat(other.interrupts.tryAcquire(30, TimeUnit.SECONDS)).isTrue();
        }
        assertThat(next.openedRestored).containsExactly(true);
        other.post(GuestMessages.close(1));
        assertThat(other.ask(tearDown(1, 7))).containsExactly(12, 7);
        assertThat(next.closed).isEqualTo(1);
      }
    }
  }

  /// Sends numbered packets as fast as there is room.
  private static final class Talker implements VmbusDevice {
    private static final int ALL = 500;
    private volatile int next;

    Talker(int next) {
      this.next = next;
    }

    @Override
    public Offer offer() {
      return Offer.plain(new UUID(1, 2), new UUID(3, 4));
    }

    @Override
    public ChannelHandler open(Channel channel) {
      var handler =
          new ChannelHandler() {
            @Override
            public void received(Packet packet) {}

            @Override
            public void roomAvailable() {
              while (next < ALL && channel.send(false, next, new byte[8 * (next % 20)])) {
                next++;
              }
            }
          };
      handler.roomAvailable();
      return handler;
    }
  }

  @Test
  void fullRingHalfAGpadlAndUnfetchedAnswersGoOnOnAnotherBus() throws Exception {
    var talker = new Talker(0);
    bus.attach(talker);
    connect();
    openFirst();
    // The device fills its ring, which nobody reads.
    while (guest.ring(18, 19).headerAcquire(RingMemory.PENDING_SEND_SIZE) == 0) {
      Thread.onSpinWait();
    }
    assertThat(guest.post(gpadlHeader(1, 30, 60, 200, 201, 202))).isZero();
    assertThat(guest.post(gpadlBody(1, 30, 203, 204))).isZero();
    for (int i = 0; i < 10; i++) {
      assertThat(guest.post(gpadl(1, 40 + i, 300 + i))).isZero();
    }
    bus.pause();
    var state = bus.state();
    var interrupts = guest.enlightenment.state();
    int said = talker.next;
    assertThat(said).isBetween(10, 100);
    try (var other = new GuestMachine()) {
      other.memory.write(0, guest.memory.read(0, (int) guest.memory.size()));
      other.enlightenment.restore(interrupts);
      var ring = new GuestRing(other.ring(18, 19), in);
      try (var otherBus = Vmbus.connect(other.memory, other.enlightenment.synic())) {
        otherBus.attach(new Talker(said));
        otherBus.restore(state);
        assertThat(otherBus.state().partialGpadls()).hasSize(1);
        otherBus.resume();
        for (int i = 0; i < 10; i++) {
          assertThat(other.answer()).containsExactly(10, 1, 40 + i, 0);
        }
        var rest = new long[55];
        for (int i = 0; i < rest.length; i++) {
          rest[i] = 205 + i;
        }
        assertThat(other.post(gpadlBody(2, 30, Arrays.copyOf(rest, 28)))).isZero();
        assertThat(other.fetch()).isNull();
        assertThat(other.ask(gpadlBody(3, 30, Arrays.copyOfRange(rest, 28, 55))))
            .containsExactly(10, 1, 30, 0);
        int heard = 0;
        while (heard < Talker.ALL) {
          var packet = ring.read();
          if (packet == null) {
            if (!ring.enableInterrupts()) {
              assertThat(other.interrupts.tryAcquire(30, TimeUnit.SECONDS)).as("signal").isTrue();
              other.takeFlag(1);
            }
            ring.disableInterrupts();
            continue;
          }
          assertThat(packet.transactionId()).isEqualTo(heard);
          assertThat(packet.rest()).hasSize(8 * (heard % 20));
          heard++;
          if (packet.signal()) {
            assertThat(other.signal(1)).isZero();
          }
        }
        assertThat(otherBus.counters())
            .containsEntry(
                "vmbus.%s.packets-sent".formatted(new UUID(1, 2)), (long) Talker.ALL - said);
      }
    }
  }

  @Test
  void channelIsNotClosedWhilePaused() throws Exception {
    bus.attach(device);
    connect();
    openFirst();
    exchange(10);
    bus.pause();
    guest.post(GuestMessages.close(1));
    guest.post(tearDown(1, 7));
    for (int i = 0; i < 1000; i++) {
      Thread.yield();
    }
    assertThat(device.closed).isZero();
    assertThat(guest.fetch()).isNull();
    assertThat(bus.state().channels().getFirst().closing()).isTrue();
    bus.resume();
    assertThat(guest.answer()).containsExactly(12, 7);
    assertThat(device.closed).isEqualTo(1);
  }

  @Test
  void channelThatClosesIsSavedAsClosing() throws Exception {
    var letGo = new CountDownLatch(1);
    var opened = new CountDownLatch(1);
    var closing = new CountDownLatch(1);
    bus.attach(
        new VmbusDevice() {
          @Override
          public Offer offer() {
            return Offer.plain(new UUID(1, 2), new UUID(3, 4));
          }

          @Override
          public ChannelHandler open(Channel channel) {
            opened.countDown();
            return new ChannelHandler() {
              @Override
              public void received(Packet packet) {}

              @Override
              public void closed() {
                closing.countDown();
                try {
                  letGo.await();
                } catch (InterruptedException e) {
                  throw new IllegalStateException(e);
                }
              }
            };
          }
        });
    connect();
    openFirst();
    assertThat(opened.await(30, TimeUnit.SECONDS)).isTrue();
    guest.post(GuestMessages.close(1));
    guest.post(tearDown(1, 7));
    assertThat(closing.await(30, TimeUnit.SECONDS)).isTrue();
    assertThat(guest.fetch()).as("the device has the memory yet").isNull();
    var state = bus.state();
    assertThat(state.channels().getFirst().closing()).isTrue();
    try (var other = new GuestMachine()) {
      other.memory.write(0, guest.memory.read(0, (int) guest.memory.size()));
      other.enlightenment.restore(guest.enlightenment.state());
      try (var otherBus = Vmbus.connect(other.memory, other.enlightenment.synic())) {
        otherBus.attach(device);
        otherBus.restore(state);
        otherBus.resume();
        // A device that never had the channel has nothing to let go.
        assertThat(other.answer()).containsExactly(12, 7);
        assertThat(device.openedRestored).isEmpty();
      }
    } finally {
      letGo.countDown();
    }
  }
}
