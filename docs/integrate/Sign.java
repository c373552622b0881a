// One signature from end to end with a JDK, 17 or later, and nothing else.
//   RSSP=https://… CLIENT=… KEY=portal.pem REDIRECT=https://… CREDENTIAL=… java Sign.java FILE
// Standard input: the address that the signer's browser came back to. Leaves FILE.sig (DER) and
// FILE.der (the signer's certificate). KEY is PKCS#8, as openssl genpkey writes it.
import java.io.BufferedReader;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStreamReader;
import java.math.BigInteger;
import java.net.URI;
import java.net.URLDecoder;
import java.net.URLEncoder;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.GeneralSecurityException;
import java.security.KeyFactory;
import java.security.KeyPair;
import java.security.KeyPairGenerator;
import java.security.MessageDigest;
import java.security.PrivateKey;
import java.security.SecureRandom;
import java.security.Signature;
import java.security.cert.CertificateFactory;
import java.security.cert.X509Certificate;
import java.security.interfaces.ECPublicKey;
import java.security.spec.ECGenParameterSpec;
import java.security.spec.PKCS8EncodedKeySpec;
import java.time.Duration;
import java.time.Instant;
import java.util.Base64;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.UUID;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;

public class Sign {
    static final String SHA256 = "2.16.840.1.101.3.4.2.1", ECDSA_SHA256 = "1.2.840.10045.4.3.2";
    static final String RSSP = System.getenv("RSSP"), CLIENT = System.getenv("CLIENT");
    static final String REDIRECT = System.getenv("REDIRECT");
    static final String CREDENTIAL = System.getenv("CREDENTIAL");
    static final HttpClient HTTP = HttpClient.newBuilder()
        .version(HttpClient.Version.HTTP_1_1).connectTimeout(Duration.ofSeconds(5)).build();

    // Two keys: one says who asks (private_key_jwt), one binds what is given to this program (DPoP).
    final PrivateKey identity;
    final KeyPair holder;

    Sign() throws Exception {
        String pem = Files.readString(Path.of(System.getenv("KEY")));
        byte[] der = Base64.getMimeDecoder().decode(pem.replaceAll("-----.*-----", ""));
        identity = KeyFactory.getInstance("EC").generatePrivate(new PKCS8EncodedKeySpec(der));
        KeyPairGenerator generator = KeyPairGenerator.getInstance("EC");
        generator.initialize(new ECGenParameterSpec("secp256r1"));
        holder = generator.generateKeyPair();
    }

    public static void main(String[] arguments) throws Exception {
        new Sign().run(Path.of(arguments[0]));
    }

    void run(Path file) throws Exception {
        byte[] content = Files.readAllBytes(file);
        String hash = Base64.getEncoder().encodeToString(sha256(content));

        // 1 · The certificate, with a token of the client's own.
        String service = member("access_token",
            form("token", Map.of("grant_type", "client_credentials", "scope", "service")));
        String info = csc("credentials/info", service, "{\"credentialID\":" + quoted(CREDENTIAL) + "}");
        byte[] der = Base64.getDecoder().decode(member("certificates", info));
        X509Certificate certificate = (X509Certificate) CertificateFactory.getInstance("X.509")
            .generateCertificate(new ByteArrayInputStream(der));

        // 2 · The question: whose consent, to which hash, under what name.
        String state = UUID.randomUUID().toString(), verifier = b64url(random(32));
        String details = "[{\"type\":\"credential\",\"credentialID\":" + quoted(CREDENTIAL)
            + ",\"hashAlgorithmOID\":\"" + SHA256 + "\",\"documentDigests\":[{\"hash\":\"" + hash
            + "\",\"label\":" + quoted(file.getFileName().toString()) + "}]}]";
        String pushed = form("pushed_authorize", Map.of(
            "response_type", "code",
            "redirect_uri", REDIRECT,
            "state", state,
            "code_challenge", b64url(sha256(verifier.getBytes(StandardCharsets.US_ASCII))),
            "code_challenge_method", "S256",
            "authorization_details", details));
        System.out.println("code to compare: " + member("verificationCode", pushed));
        System.out.println("for the signer: " + RSSP + "/oauth2/authorize?"
            + encoded(Map.of("client_id", CLIENT, "request_uri", member("request_uri", pushed))));

        // 3 · The signer has agreed: is it the answer to this question, from this server? Then the
        // code becomes a token. Once: never send a code again.
        Map<String, String> answer = query(new BufferedReader(new InputStreamReader(System.in)).readLine());
        if (!state.equals(answer.get("state")) || !RSSP.equals(answer.get("iss")) || !answer.containsKey("code")) {
            throw new IOException("not an answer to this question, or a refusal: " + answer.get("error"));
        }
        String token = member("access_token", form("token", Map.of(
            "grant_type", "authorization_code",
            "code", answer.get("code"),
            "redirect_uri", REDIRECT,
            "code_verifier", verifier)));

        // 4 · The signature, and whether it is one.
        String signed = csc("signatures/signHash", token, "{\"credentialID\":" + quoted(CREDENTIAL)
            + ",\"hashes\":[\"" + hash + "\"],\"signAlgo\":\"" + ECDSA_SHA256 + "\"}");
        byte[] signature = Base64.getDecoder().decode(member("signatures", signed));
        Signature judge = Signature.getInstance("SHA256withECDSA");
        judge.initVerify(certificate.getPublicKey()); // for "signature", not "digital signature"
        judge.update(content);
        if (!judge.verify(signature)) throw new IOException("no signature");
        Files.write(Path.of(file + ".sig"), signature);
        Files.write(Path.of(file + ".der"), der);
        System.out.println("Verified OK");
    }

    /** To the authorization server, as this client. */
    String form(String endpoint, Map<String, String> parameters) throws Exception {
        String url = RSSP + "/oauth2/" + endpoint;
        long now = Instant.now().getEpochSecond();
        String claims = "{\"iss\":" + quoted(CLIENT) + ",\"sub\":" + quoted(CLIENT) + ",\"aud\":" + quoted(RSSP)
            + ",\"iat\":" + now + ",\"exp\":" + (now + 60) + ",\"jti\":\"" + UUID.randomUUID() + "\"}";
        Map<String, String> all = new LinkedHashMap<>(parameters);
        all.put("client_id", CLIENT);
        all.put("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer");
        all.put("client_assertion", jwt("{\"alg\":\"ES256\"}", claims, identity));
        return members(HTTP.send(HttpRequest.newBuilder(URI.create(url))
            .header("Content-Type", "application/x-www-form-urlencoded")
            .header("DPoP", proof(url, null))
            .timeout(Duration.ofSeconds(30))
            .POST(BodyPublishers.ofString(encoded(all))).build(), BodyHandlers.ofString()));
    }

    /**
     * A method of the CSC API. No answer, or "not now": the same again, with a new proof. That is
     * right for signHash, which gives the same signature again, and for what only reads.
     */
    String csc(String method, String token, String body) throws Exception {
        String url = RSSP + "/csc/v2/" + method;
        for (int tries = 5; ; tries--) {
            HttpRequest request = HttpRequest.newBuilder(URI.create(url))
                .header("Content-Type", "application/json")
                .header("Authorization", "DPoP " + token)
                .header("DPoP", proof(url, token))
                .timeout(Duration.ofSeconds(30))
                .POST(BodyPublishers.ofString(body)).build();
            HttpResponse<String> answer = null;
            try {
                answer = HTTP.send(request, BodyHandlers.ofString());
            } catch (IOException lost) {
                if (tries == 0) throw lost;
            }
            if (answer != null && (answer.statusCode() < 502 || tries == 0)) return members(answer);
            Thread.sleep(1000);
        }
    }

    static String members(HttpResponse<String> answer) throws IOException {
        if (answer.statusCode() / 100 == 2) return answer.body();
        throw new IOException(answer.statusCode() + " " + answer.body());
    }

    String proof(String url, String token) throws GeneralSecurityException {
        ECPublicKey key = (ECPublicKey) holder.getPublic();
        String header = "{\"alg\":\"ES256\",\"typ\":\"dpop+jwt\",\"jwk\":{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\""
            + coordinate(key.getW().getAffineX()) + "\",\"y\":\"" + coordinate(key.getW().getAffineY()) + "\"}}";
        String ath = token == null ? ""
            : ",\"ath\":\"" + b64url(sha256(token.getBytes(StandardCharsets.US_ASCII))) + "\"";
        String claims = "{\"htm\":\"POST\",\"htu\":" + quoted(url) + ",\"iat\":" + Instant.now().getEpochSecond()
            + ",\"jti\":\"" + UUID.randomUUID() + "\"" + ath + "}";
        return jwt(header, claims, holder.getPrivate());
    }

    static String jwt(String header, String claims, PrivateKey key) throws GeneralSecurityException {
        String text = b64url(header.getBytes(StandardCharsets.UTF_8)) + "."
            + b64url(claims.getBytes(StandardCharsets.UTF_8));
        Signature signer = Signature.getInstance("SHA256withECDSAinP1363Format");
        signer.initSign(key);
        signer.update(text.getBytes(StandardCharsets.US_ASCII));
        return text + "." + b64url(signer.sign());
    }

    /** The first string of a member, which is enough here. A real portal has a JSON library. */
    static String member(String name, String json) throws IOException {
        Matcher found = Pattern.compile("\"" + name + "\"\\s*:\\s*\\[?\\s*\"([^\"\\\\]*)\"").matcher(json);
        if (!found.find()) throw new IOException("no " + name + " in the answer");
        return found.group(1);
    }

    static String quoted(String text) {
        return "\"" + text.replace("\\", "\\\\").replace("\"", "\\\"") + "\"";
    }

    static String encoded(Map<String, String> parameters) {
        return parameters.entrySet().stream()
            .map(each -> each.getKey() + "=" + URLEncoder.encode(each.getValue(), StandardCharsets.UTF_8))
            .collect(Collectors.joining("&"));
    }

    static Map<String, String> query(String address) {
        Map<String, String> found = new LinkedHashMap<>();
        for (String pair : URI.create(address.trim()).getRawQuery().split("&")) {
            String[] parts = pair.split("=", 2);
            found.put(parts[0], URLDecoder.decode(parts[1], StandardCharsets.UTF_8));
        }
        return found;
    }

    static String coordinate(BigInteger number) {
        byte[] bytes = number.toByteArray(), padded = new byte[32];
        int length = Math.min(bytes.length, 32);
        System.arraycopy(bytes, bytes.length - length, padded, 32 - length, length);
        return b64url(padded);
    }

    static byte[] sha256(byte[] data) throws GeneralSecurityException {
        return MessageDigest.getInstance("SHA-256").digest(data);
    }

    static byte[] random(int count) {
        byte[] bytes = new byte[count];
        new SecureRandom().nextBytes(bytes);
        return bytes;
    }

    static String b64url(byte[] data) {
        return Base64.getUrlEncoder().withoutPadding().encodeToString(data);
    }
}
