package dev.partita.worker;

import dev.partita.hypervisor.TimeSource;
import dev.partita.synthetic.input.SyntheticKeyboard;
import dev.partita.synthetic.integration.GuestFileCopy;
import dev.partita.synthetic.integration.GuestFreeze;
import dev.partita.synthetic.integration.GuestShutdown;
import dev.partita.synthetic.integration.Heartbeat;
import dev.partita.synthetic.integration.KeyValue;
import dev.partita.synthetic.integration.KeyValueExchange;
import dev.partita.synthetic.integration.TimeSynchronization;
import dev.partita.vmbus.Vmbus;
import java.io.IOException;
import java.net.InetAddress;
import java.net.UnknownHostException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.function.LongSupplier;

/// By what host and guest of one machine cooperate: its integration services and its keyboard.
final class GuestServices {
  private final Heartbeat heartbeat;
  private final GuestShutdown shutdown;
  private final TimeSynchronization timeSynchronization;
  private final KeyValueExchange exchange;
  private final GuestFreeze freeze;
  private final GuestFileCopy fileCopy;
  private final SyntheticKeyboard keyboard = new SyntheticKeyboard();

  /// @param name the partition's
  /// @param referenceTime the partition's, in units of 100 ns
  GuestServices(String name, TimeSource time, LongSupplier referenceTime) {
    heartbeat = new Heartbeat(time);
    shutdown = new GuestShutdown(time);
    timeSynchronization = new TimeSynchronization(time, referenceTime);
    var facts = hostFacts(name);
    exchange = new KeyValueExchange(time, () -> facts);
    freeze = new GuestFreeze(time);
    fileCopy = new GuestFileCopy(time);
  }

  /// What a Hyper-V host tells of itself and that holds here too (Microsoft, "Hyper-V Data Exchange
  /// Service", the host's own data items).
  private static List<KeyValue> hostFacts(String name) {
    List<KeyValue> facts = new ArrayList<>();
    var host = hostName();
    if (!host.isEmpty()) {
      var first = host.indexOf('.') < 0 ? host : host.substring(0, host.indexOf('.'));
      facts.add(new KeyValue("HostName", first));
      facts.add(new KeyValue("PhysicalHostName", first));
      facts.add(new KeyValue("PhysicalHostNameFullyQualified", host));
    }
    facts.add(new KeyValue("VirtualMachineName", name));
    return List.copyOf(facts);
  }

  private static String hostName() {
    try {
      // Without asking a name server, which may take long.
      return Files.readString(Path.of("/proc/sys/kernel/hostname")).strip();
    } catch (IOException e) {
      try {
        return InetAddress.getLocalHost().getHostName();
      } catch (UnknownHostException unknown) {
        return "";
      }
    }
  }

  /// Plugs them in.
  void attach(Vmbus bus) {
    bus.attach(heartbeat);
    bus.attach(shutdown);
    bus.attach(timeSynchronization);
    bus.attach(exchange);
    bus.attach(freeze);
    bus.attach(fileCopy);
    bus.attach(keyboard);
  }

  /// Whether the guest answers: `ok`, `lost`, or `no-contact` without its driver.
  String heartbeatLabel() {
    return heartbeat.status().name().toLowerCase(Locale.ROOT).replace('_', '-');
  }

  Heartbeat heartbeat() {
    return heartbeat;
  }

  GuestShutdown shutdown() {
    return shutdown;
  }

  KeyValueExchange exchange() {
    return exchange;
  }

  GuestFreeze freeze() {
    return freeze;
  }

  GuestFileCopy fileCopy() {
    return fileCopy;
  }

  SyntheticKeyboard keyboard() {
    return keyboard;
  }
}
