package dev.partita.engine.software;

import java.lang.invoke.MethodHandles;
import java.lang.invoke.MethodType;
import java.security.ProtectionDomain;

/// Defines classes as if they were the JDK's own: what HotSpot grants to those alone is asked for
/// by {@link CompileRequest} and {@link Odds}.
final class JdkClass {
  private JdkClass() {}

  /// Defines a class with the loader of the JDK's own classes.
  ///
  /// @param name with slashes
  /// @throws Throwable if the launcher has not opened `jdk.internal.misc` to this module, or the
  ///     JVM refuses the class
  static Class<?> define(String name, byte[] bytes) throws Throwable {
    var lookup = MethodHandles.lookup();
    var unsafe = Class.forName("jdk.internal.misc.Unsafe");
    var self = lookup.findStatic(unsafe, "getUnsafe", MethodType.methodType(unsafe)).invoke();
    return (Class<?>)
        lookup
            .findVirtual(
                unsafe,
                "defineClass",
                MethodType.methodType(
                    Class.class,
                    String.class,
                    byte[].class,
                    int.class,
                    int.class,
                    ClassLoader.class,
                    ProtectionDomain.class))
            .invoke(self, name, bytes, 0, bytes.length, null, null);
  }
}
