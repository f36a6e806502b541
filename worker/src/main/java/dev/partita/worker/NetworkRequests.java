package dev.partita.worker;

import dev.partita.hypervisor.PartitionException;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.channels.Channels;
import java.nio.channels.SocketChannel;
import java.util.List;

/// The requests of {@link ControlSocket} that are for the partition's network. Words are encoded as
/// {@link ControlWords} tells. Every answer begins with `ok`, or is one line `error TEXT`.
///
/// - `nic-list`: `ok`, then for each NIC a line `NUMBER SETTINGS MAC GUEST-MAC QUEUES FRAMES-SENT
///   OCTETS-SENT FRAMES-RECEIVED OCTETS-RECEIVED ADDRESS...`; the settings as
///   {@link AdapterSettings} writes them; no queues without a driver.
/// - `nic-add SETTINGS`: `ok NUMBER`.
/// - `nic-remove NUMBER`: `ok`.
/// - `nic-set NUMBER OPTION...`: `ok`. An option `network=ATTACHMENT` plugs it in there.
/// - `switch-list`: `ok`, then lines as {@link SwitchWords} tells.
/// - `capture LENGTH PORT...`: `ok`, then a pcapng stream of what passes the ports (of all NICs if
///   none is named), of each frame so many octets, until the client ends its side.
final class NetworkRequests {
  private static final String NETWORK = "network=";

  private final Adapters adapters;
  private final SocketChannel client;

  NetworkRequests(Adapters adapters, SocketChannel client) {
    this.adapters = adapters;
    this.client = client;
  }

  /// Whether a request's first word is one of these.
  static boolean isFor(String request) {
    return request.startsWith("nic-")
        || request.equals("switch-list")
        || request.startsWith("capture ");
  }

  void serve(String request) throws IOException {
    try {
      ControlSocket.say(client, answer(ControlWords.decode(request)));
    } catch (PartitionException | IllegalArgumentException e) {
      ControlSocket.say(
          client, "error " + String.valueOf(e.getMessage()).replaceAll("\\p{Cntrl}", "?") + "\n");
    }
  }

  private String answer(List<String> words) throws IOException {
    return switch (words.getFirst()) {
      case "nic-list" -> list();
      case "nic-add" -> "ok " + adapters.add(AdapterSettings.parse(word(words, 1))) + "\n";
      case "nic-remove" -> {
        adapters.remove(number(word(words, 1), Adapters.MOST));
        yield "ok\n";
      }
      case "nic-set" -> {
        change(number(word(words, 1), Adapters.MOST), words.subList(2, words.size()));
        yield "ok\n";
      }
      case "switch-list" -> "ok\n" + SwitchWords.encode(adapters.switchList());
      case "capture" -> capture(words);
      default -> throw new IllegalArgumentException("unknown request");
    };
  }

  private String list() {
    var lines = new StringBuilder("ok\n");
    for (var each : adapters.list()) {
      lines
          .append(
              ControlWords.encode(
                  Integer.toString(each.number()),
                  each.settings().toString(),
                  each.mac().toString(),
                  each.guestMac().toString(),
                  Integer.toString(each.queues()),
                  Long.toString(each.framesSent()),
                  Long.toString(each.octetsSent()),
                  Long.toString(each.framesReceived()),
                  Long.toString(each.octetsReceived())))
          .append(each.addresses().isEmpty() ? "" : " ")
          .append(ControlWords.encode(each.addresses().toArray(String[]::new)))
          .append('\n');
    }
    return lines.toString();
  }

  private void change(int number, List<String> options) {
    for (var option : options) {
      if (option.startsWith(NETWORK)) {
        adapters.move(
            number, AdapterSettings.parse(option.substring(NETWORK.length())).attachment());
      }
    }
    var others = options.stream().filter(option -> !option.startsWith(NETWORK)).toList();
    if (!others.isEmpty()) {
      adapters.change(number, others);
    }
  }

  private String capture(List<String> words) throws IOException {
    int length = number(word(words, 1), 1 << 20);
    var out = Channels.newOutputStream(client);
    var begun = new Begun(out);
    var capture = adapters.capture(begun, words.subList(2, words.size()), length);
    try (capture) {
      var in = Channels.newInputStream(client);
      while (in.read() >= 0) {
        // What is sent meanwhile means nothing.
      }
    }
    return "";
  }

  /// Says `ok` before the first octets of a stream.
  private static final class Begun extends OutputStream {
    private final OutputStream out;
    private boolean said;

    Begun(OutputStream out) {
      this.out = out;
    }

    @Override
    public void write(int octet) throws IOException {
      write(new byte[] {(byte) octet}, 0, 1);
    }

    @Override
    public void write(byte[] octets, int from, int length) throws IOException {
      if (!said) {
        said = true;
        out.write(new byte[] {'o', 'k', '\n'});
      }
      out.write(octets, from, length);
    }

    @Override
    public void close() throws IOException {
      out.close();
    }
  }

  private static String word(List<String> words, int index) {
    if (index >= words.size()) {
      throw new IllegalArgumentException("a word is missing");
    }
    return words.get(index);
  }

  private static int number(String word, int most) {
    if (!word.matches("[0-9]{1,7}") || Integer.parseInt(word) > most) {
      throw new IllegalArgumentException("\"" + word + "\" is not a number from 0 to " + most);
    }
    return Integer.parseInt(word);
  }
}
