package dev.partita.vmbus;

import static dev.partita.vmbus.GuestMessages.*;
import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.UUID;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import jdk.jfr.Recording;
import jdk.jfr.consumer.RecordedEvent;
import jdk.jfr.consumer.RecordingFile;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

@Timeout(120)
class FlightRecordingTest {
  @TempDir private Path folder;

  @Test
  void recordingTellsOfMessagesPacketsAndHypercalls() throws Exception {
    var received = new CountDownLatch(1);
    var device =
        new VmbusDevice() {
          @Override
          public Offer offer() {
            var heartbeat = UUID.fromString("57164f39-9115-4e78-ab55-382f3bd5422d");
            return Offer.plain(heartbeat, new UUID(3, 4));
          }

          @Override
          public ChannelHandler open(Channel channel) {
            return packet -> {
              channel.complete(packet.transactionId(), new byte[8]);
              received.countDown();
            };
          }
        };
    var file = folder.resolve("bus.jfr");
    try (var recording = new Recording();
        var guest = new GuestMachine();
        var bus = Vmbus.connect(guest.memory, guest.enlightenment.synic())) {
      recording.enable("dev.partita.vmbus.Packet");
      recording.enable("dev.partita.enlightenment.Hypercall");
      recording.enable("dev.partita.enlightenment.Synic");
      recording.start();
      bus.attach(device);
      guest.ask(initiateContact(5, 3, 0, 2));
      guest.ask(requestOffers());
      guest.answer();
      guest.ask(gpadl(1, 7, 16, 17, 18, 19));
      guest.ask(open(1, 1, 7, 0, 2));
      new GuestRing(guest.ring(16, 17)).write(6, 1, 77, new byte[40]);
      guest.signal(1);
      assertThat(received.await(60, TimeUnit.SECONDS)).isTrue();
      bus.close();
      recording.stop();
      recording.dump(file);
    }
    var told = new ArrayList<String>();
    for (var event : RecordingFile.readAllEvents(file)) {
      told.add(line(event));
    }
    assertThat(told)
        .contains(
            "Message true INITIATE_CONTACT",
            "Message false VERSION_RESPONSE",
            "Message false OPEN_CHANNEL_RESULT",
            "Packet true heartbeat 77 40",
            "Packet false heartbeat 77 8",
            "Hypercall 92 0",
            "Synic 2");
  }

  private static String line(RecordedEvent event) {
    return switch (event.getEventType().getName()) {
      case "dev.partita.vmbus.Message" ->
          "Message " + event.getBoolean("fromGuest") + " " + event.getString("message");
      case "dev.partita.vmbus.Packet" ->
          "Packet %b %s %d %d"
              .formatted(
                  event.getBoolean("fromGuest"),
                  event.getString("device"),
                  event.getLong("transaction"),
                  event.getInt("bytes"));
      case "dev.partita.enlightenment.Hypercall" ->
          "Hypercall " + event.getInt("code") + " " + event.getInt("status");
      case "dev.partita.enlightenment.Synic" -> "Synic " + event.getInt("source");
      default -> "";
    };
  }
}
