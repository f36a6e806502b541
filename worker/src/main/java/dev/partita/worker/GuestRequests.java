package dev.partita.worker;

import dev.partita.synthetic.input.Keystroke;
import dev.partita.synthetic.input.UsKeyboard;
import dev.partita.synthetic.integration.AdapterAddresses;
import dev.partita.synthetic.integration.GuestFileCopy;
import dev.partita.synthetic.integration.GuestFreeze;
import dev.partita.synthetic.integration.GuestRefusalException;
import dev.partita.synthetic.integration.GuestShutdown;
import dev.partita.synthetic.integration.KeyValue;
import java.io.IOException;
import java.io.InputStream;
import java.nio.channels.Channels;
import java.nio.channels.SocketChannel;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.function.Supplier;

/// The requests of {@link ControlSocket} that are for the guest. Words are encoded as {@link
/// ControlWords} tells; every answer begins with `ok`, or is one line `error 0xHRESULT TEXT` or
/// `error TEXT`.
///
/// - `guest-info`: `ok`, then lines of words, of which the first tells what the others are.
/// - `guest-list POOL`: `ok`, then lines `KEY VALUE`.
/// - `guest-get POOL KEY`: `ok VALUE`.
/// - `guest-set POOL KEY VALUE`, `guest-delete POOL KEY`: `ok`.
/// - `guest-addresses ADAPTER`: `ok`, then lines of words, as above.
/// - `guest-freeze SECONDS`: `ok` when it is frozen, for so long at most. With the word `bound` the
///   end of what the client sends thaws it, and brings a second `ok`.
/// - `guest-thaw`: `ok yes`, or `ok no` if it was not frozen any more.
/// - `guest-restart`, `guest-shutdown`, each with `ask` or `force`: `ok` when the guest agrees.
/// - `guest-copy PATH SIZE`, with `overwrite` or `keep` and with `create` or `there`: `ok`; then
///   the client sends the file, and gets lines `done BYTES`, and `ok` at the end.
/// - `keys COMBINATION...`, `type TEXT`: `ok` when the guest's keyboard has them.
final class GuestRequests {
  /// A line `done` comes after as many fragments of a file.
  private static final int FRAGMENTS_A_LINE = 16;

  private static final int MOST_HOLD_SECONDS = 24 * 60 * 60;

  private static final String OK = "ok\n";

  private final Supplier<Optional<GuestServices>> guest;
  private final SocketChannel client;

  /// @param guest the running machine's
  GuestRequests(Supplier<Optional<GuestServices>> guest, SocketChannel client) {
    this.guest = guest;
    this.client = client;
  }

  /// Whether a request's first word is one of these.
  static boolean isFor(String request) {
    return request.startsWith("guest-")
        || request.startsWith("keys ")
        || request.startsWith("type ");
  }

  void serve(String request) throws IOException, InterruptedException {
    try {
      var words = ControlWords.decode(request);
      ControlSocket.say(client, answer(words));
    } catch (GuestRefusalException e) {
      ControlSocket.say(
          client,
          "error 0x%08X %s\n".formatted(e.status(), GuestRefusalException.words(e.status())));
    } catch (IllegalArgumentException e) {
      ControlSocket.say(client, "error " + oneLine(String.valueOf(e.getMessage())) + "\n");
    }
  }

  private static String oneLine(String text) {
    return text.replaceAll("\\p{Cntrl}", "?");
  }

  private GuestServices services() throws GuestRefusalException {
    return guest
        .get()
        .orElseThrow(() -> new GuestRefusalException(GuestRefusalException.NOT_CONNECTED));
  }

  private String answer(List<String> words)
      throws GuestRefusalException, InterruptedException, IOException {
    return switch (words.getFirst()) {
      case "guest-info" -> info(services());
      case "guest-list" -> list(pool(word(words, 1)));
      case "guest-get" ->
          "ok "
              + ControlWords.encode(services().exchange().get(pool(word(words, 1)), word(words, 2)))
              + "\n";
      case "guest-set" -> {
        services()
            .exchange()
            .set(pool(word(words, 1)), new KeyValue(word(words, 2), word(words, 3)));
        yield OK;
      }
      case "guest-delete" -> {
        services().exchange().delete(pool(word(words, 1)), word(words, 2));
        yield OK;
      }
      case "guest-addresses" -> addresses(services().exchange().addresses(word(words, 1)));
      case "guest-freeze" -> freeze(words);
      case "guest-thaw" -> services().freeze().thaw() ? "ok yes\n" : "ok no\n";
      case "guest-shutdown" -> power(GuestShutdown.Kind.POWER_OFF, words);
      case "guest-restart" -> power(GuestShutdown.Kind.REBOOT, words);
      case "guest-copy" -> copy(words);
      case "keys" -> {
        for (var combination : words.subList(1, words.size())) {
          press(UsKeyboard.combination(combination));
        }
        yield OK;
      }
      case "type" -> {
        press(UsKeyboard.text(word(words, 1)));
        yield OK;
      }
      default -> throw new IllegalArgumentException("unknown request");
    };
  }

  private static String word(List<String> words, int index) {
    if (index >= words.size()) {
      throw new IllegalArgumentException("request of " + words.size() + " words");
    }
    return words.get(index);
  }

  private static KeyValue.Pool pool(String name) {
    return KeyValue.Pool.valueOf(name.toUpperCase(Locale.ROOT).replace('-', '_'));
  }

  private static long number(String word, long most) {
    if (!word.matches("[0-9]{1,18}") || Long.parseLong(word) > most) {
      throw new IllegalArgumentException("\"" + word + "\" is not a number from 0 to " + most);
    }
    return Long.parseLong(word);
  }

  private String info(GuestServices services) throws InterruptedException {
    var lines = new StringBuilder(OK);
    line(lines, "heartbeat", label(services.heartbeat().status()));
    line(lines, "shutdown", yesNo(services.shutdown().isAvailable()));
    line(lines, "exchange", yesNo(services.exchange().isAvailable()));
    var freeze = services.freeze();
    line(lines, "backup", freeze.isAvailable() ? label(freeze.phase()) : "no");
    line(lines, "copy", yesNo(services.fileCopy().isAvailable()));
    line(lines, "keyboard", yesNo(services.keyboard().isAvailable()));
    try {
      for (var fact : services.exchange().list(KeyValue.Pool.AUTO)) {
        line(lines, "fact", fact.key(), fact.value());
      }
    } catch (GuestRefusalException e) {
      line(lines, "no-facts", GuestRefusalException.words(e.status()));
    }
    return lines.toString();
  }

  private static String label(Enum<?> value) {
    return value.name().toLowerCase(Locale.ROOT).replace('_', '-');
  }

  private static String yesNo(boolean value) {
    return value ? "yes" : "no";
  }

  private static void line(StringBuilder lines, String... words) {
    lines.append(ControlWords.encode(words)).append('\n');
  }

  private String list(KeyValue.Pool pool) throws GuestRefusalException, InterruptedException {
    var lines = new StringBuilder(OK);
    for (var pair : services().exchange().list(pool)) {
      line(lines, pair.key(), pair.value());
    }
    return lines.toString();
  }

  private static String addresses(AdapterAddresses addresses) {
    var lines = new StringBuilder(OK);
    line(lines, "dhcp", yesNo(addresses.dhcp()));
    addresses.addresses().forEach(each -> line(lines, "address", each));
    addresses.subnets().forEach(each -> line(lines, "subnet", each));
    addresses.gateways().forEach(each -> line(lines, "gateway", each));
    addresses.nameServers().forEach(each -> line(lines, "name-server", each));
    return lines.toString();
  }

  private String power(GuestShutdown.Kind kind, List<String> words)
      throws GuestRefusalException, InterruptedException {
    services().shutdown().request(kind, word(words, 1).equals("force"));
    return OK;
  }

  private String freeze(List<String> words)
      throws GuestRefusalException, InterruptedException, IOException {
    long nanos = number(word(words, 1), MOST_HOLD_SECONDS) * 1_000_000_000L;
    boolean bound = words.size() > 2 && words.get(2).equals("bound");
    var freeze = services().freeze();
    freeze.freeze(nanos);
    if (!bound) {
      return OK;
    }
    boolean held = false;
    try {
      ControlSocket.say(client, OK);
      waitForEnd();
    } finally {
      held = thaw(freeze);
    }
    return held ? "ok\n" : "error the guest went on before: its time was over\n";
  }

  private static boolean thaw(GuestFreeze freeze) throws InterruptedException {
    try {
      return freeze.thaw();
    } catch (GuestRefusalException e) {
      // What it was for is done: it was frozen until now. It says itself that it does not thaw.
      return true;
    }
  }

  private void waitForEnd() throws IOException {
    var in = Channels.newInputStream(client);
    while (in.read() >= 0) {
      // What is sent meanwhile means nothing.
    }
  }

  private String copy(List<String> words)
      throws GuestRefusalException, InterruptedException, IOException {
    long size = number(word(words, 2), Long.MAX_VALUE >> 1);
    var destination =
        GuestFileCopy.Destination.of(
            word(words, 1), word(words, 3).equals("overwrite"), word(words, 4).equals("create"));
    try (var transfer = services().fileCopy().start(destination, size)) {
      ControlSocket.say(client, OK);
      send(transfer, Channels.newInputStream(client), size);
      transfer.finish();
    }
    return OK;
  }

  private void send(GuestFileCopy.Transfer transfer, InputStream file, long size)
      throws GuestRefusalException, InterruptedException, IOException {
    var fragment = new byte[GuestFileCopy.FRAGMENT];
    long done = 0;
    for (int fragments = 1; done < size; fragments++) {
      int length = file.readNBytes(fragment, 0, (int) Math.min(fragment.length, size - done));
      if (length == 0) {
        throw new IOException("the client is gone");
      }
      transfer.write(fragment, length);
      done += length;
      if (fragments % FRAGMENTS_A_LINE == 0) {
        ControlSocket.say(client, "done " + done + "\n");
      }
    }
  }

  private void press(List<Keystroke> keystrokes) throws GuestRefusalException {
    var keyboard = services().keyboard();
    if (!keyboard.send(keystrokes)) {
      throw new GuestRefusalException(
          keyboard.isAvailable()
              ? GuestRefusalException.BUSY
              : GuestRefusalException.NOT_CONNECTED);
    }
  }
}
