package dev.partita.vmbus;

import static dev.partita.vmbus.GuestMessages.*;
import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.List;
import java.util.UUID;
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
}
