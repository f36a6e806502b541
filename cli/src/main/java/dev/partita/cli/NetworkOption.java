package dev.partita.cli;

import dev.partita.network.nat.Publication;
import dev.partita.worker.AdapterSettings;
import java.util.Optional;
import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.TypeConversionException;

/// Reads NICs and published ports as operators write them.
final class NetworkOption {
  /// What `--network` takes, for help.
  static final String FORMS =
      "nat, private:NAME, internal:NAME, tap:DEVICE, link:SOCKET, udp:LOCAL:PORT:REMOTE:PORT";

  private NetworkOption() {}

  /// `nat,mac=...` and the like; nothing for `none`.
  static final class Adapter implements ITypeConverter<Optional<AdapterSettings>> {
    @Override
    public Optional<AdapterSettings> convert(String text) {
      return text.equals("none") ? Optional.empty() : Optional.of(NetworkOption.adapter(text));
    }
  }

  /// `2222:22`.
  static final class Port implements ITypeConverter<Publication> {
    @Override
    public Publication convert(String text) {
      try {
        return Publication.parse(text);
      } catch (IllegalArgumentException e) {
        throw new TypeConversionException(String.valueOf(e.getMessage()));
      }
    }
  }

  /// A NIC.
  static AdapterSettings adapter(String text) {
    try {
      return AdapterSettings.parse(text);
    } catch (IllegalArgumentException e) {
      throw new TypeConversionException(String.valueOf(e.getMessage()));
    }
  }
}
