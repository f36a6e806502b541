package dev.partita.vmbus;

import static dev.partita.vmbus.GuestMessages.*;
import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.UUID;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReference;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/// Everything at once: a guest that opens, closes, breaks rings and makes new contacts, devices
/// that talk from threads of their own and make sub-channels, and a host that plugs, pauses and
/// saves. Whatever came of it, the bus answers in the end and comes to rest.
@Timeout(120)
class TurmoilTest {
  private static final int DEVICES = 3;

  private final GuestMachine guest = new GuestMachine();
  private final Vmbus bus = Vmbus.connect(guest.memory, guest.enlightenment.synic());
  private final List<Busy> devices = new ArrayList<>();
  private final AtomicBoolean stop = new AtomicBoolean();
  private final AtomicReference<@Nullable Throwable> failure = new AtomicReference<>();

  @AfterEach
  void close() {
    bus.close();
    guest.close();
  }

  private static final class Busy implements VmbusDevice {
    final UUID id;
    final AtomicInteger open = new AtomicInteger();
    final AtomicInteger packets = new AtomicInteger();
    volatile @Nullable Channel last;

    Busy(int n) {
      id = new UUID(1, n);
    }

    @Override
    public Offer offer() {
      return Offer.plain(id, id);
    }

    @Override
    public ChannelHandler open(Channel channel) {
      open.incrementAndGet();
      last = channel;
      if (channel.offer().subChannel() == 0) {
        channel.offerSubChannels(2);
      }
      return new ChannelHandler() {
        @Override
        public void received(Packet packet) {
          packets.incrementAndGet();
          channel.ranges(packet);
          channel.gpadl((int) packet.transactionId());
          channel.complete(packet.transactionId(), packet.payload());
          if (packet.transactionId() % 64 == 63) {
            throw new IllegalStateException("a device's defect");
          }
        }

        @Override
        public void closed() {
          open.decrementAndGet();
        }
      };
    }
  }

  private Thread thread(Runnable work) {
    return Thread.ofPlatform()
        .start(
            () -> {
              try {
                while (!stop.get()) {
                  work.run();
                }
              } catch (Throwable e) {
                failure.compareAndSet(null, e);
              }
            });
  }

  @Test
  void busComesToRest() throws Exception {
    for (int i = 0; i < DEVICES; i++) {
      devices.add(new Busy(i));
    }
    var random = new Random(11);
    var talker =
        thread(
            () -> {
              for (var device : devices) {
                var channel = device.last;
                if (channel != null) {
                  channel.send(false, 1, new byte[64]);
                  channel.execute(() -> {});
                }
              }
              Thread.yield();
            });
    var plugging = new Random(12);
    var plugger =
        thread(
            () -> {
              var device = devices.get(plugging.nextInt(DEVICES));
              switch (plugging.nextInt(4)) {
                case 0 -> {
                  try {
                    bus.attach(device);
                  } catch (IllegalStateException e) {
                    bus.detach(device);
                  }
                }
                case 1 -> {
                  bus.pause();
                  bus.state();
                  bus.resume();
                }
                default -> bus.counters();
              }
              Thread.yield();
            });
    // On a busy machine the other threads may come late: until something has come through, too.
    for (int i = 0; failure.get() == null && (i < 6_000 || packets() == 0 && i < 20_000_000); i++) {
      guestStep(random);
    }
    stop.set(true);
    talker.join();
    plugger.join();
    if (failure.get() != null) {
      throw new AssertionError(failure.get());
    }
    while (guest.fetch() != null) {}
    assertThat(guest.post(unload())).isZero();
    int[] answer;
    do {
      answer = guest.answer();
    } while (answer[0] != 17);
    assertThat(devices).allSatisfy(device -> assertThat(device.open).hasValue(0));
    assertThat(packets()).isPositive();
    // And a new guest finds what is there.
    assertThat(guest.ask(initiateContact(5, 3, 0, 2))).containsExactly(15, 1, 4);
    guest.post(requestOffers());
    do {
      answer = guest.answer();
    } while (answer[0] == 1);
    assertThat(answer).containsExactly(4);
  }

  private int packets() {
    return devices.stream().mapToInt(device -> device.packets.get()).sum();
  }

  private void guestStep(Random random) {
    int relid = 1 + random.nextInt(6);
    int page = 16 + 4 * relid;
    switch (random.nextInt(24)) {
      case 0 -> {
        guest.post(initiateContact(5, 3, 0, 2));
        guest.post(requestOffers());
      }
      case 1, 2, 3, 4 -> {
        guest.post(gpadl(relid, relid, page, page + 1, page + 2, page + 3));
        for (int i = 0; i < 2; i++) {
          new GuestRing(guest.ring(page + 2L * i, page + 2L * i + 1));
        }
        guest.post(open(relid, 1, relid, 0, 2));
      }
      case 5 -> guest.post(GuestMessages.close(relid));
      case 6 -> guest.post(tearDown(relid, relid));
      case 7 -> guest.post(released(relid));
      case 8 -> guest.memory.writeInt(page * 4096L + 4L * random.nextInt(4), random.nextInt());
      case 9, 10, 11, 12, 13, 14, 15, 16 -> {
        var ring = new GuestRing(guest.ring(page, page + 1));
        for (int i = 0; i < 4; i++) {
          ring.write(6, 1, random.nextInt(256), new byte[8 * random.nextInt(20)]);
        }
        guest.signal(relid);
      }
      default -> guest.fetch();
    }
  }
}
